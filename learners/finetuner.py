"""One optimizer step at a time, on tables whose rows come, grow and are recycled.

# V items in use, R rows started fresh
"""

import logging
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from learners.item_vectors import TABLES
from learners.lora import Adapters
from learners.pretrained import check_base
from learners.row_steps import MOMENTS, rows_in_play
from learners.schedule import ScheduleConfig, rate_factor
from learners.scorer import Scorer
from stream.values import Changes, Int32s, State, Steps

LOGGER = logging.getLogger("freshrank.learner")

_ITEM_TABLE = "items.vector_VD"
_OF_TEXTS = "items.content"


class FineTunerConfig(BaseModel):
    """AdamW, clipped [1]_.

    References
    ----------
    .. [1] Loshchilov, Hutter. Decoupled weight decay regularization. ICLR 2019.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: PositiveFloat = 4e-3
    item_learning_rate: PositiveFloat = 1.6e-2
    """For the vectors of items and of who asks, most of which a step barely touches."""
    weight_decay: NonNegativeFloat = 0.01
    """Of the transformer's matrices; item vectors are only read by direction and not decayed."""
    clip_norm: PositiveFloat = 1.0
    """Largest norm of a step's gradient over all weights."""
    beta2: float = Field(default=0.999, gt=0.0, lt=1.0)
    schedule: ScheduleConfig = ScheduleConfig()


class FineTuner:
    """Applies gradient steps to a scorer and keeps the optimizer's moments beside its weights.

    A step whose loss or gradient is not finite never reaches the weights: it is skipped and
    counted.
    """

    def __init__(self, config: FineTunerConfig, scorer: Scorer, seed: int) -> None:
        self._config = config
        self._scorer = scorer
        self._seed = seed
        self._n_steps = 0
        self._n_skipped = 0
        self._n_fresh = 0  # rows started fresh so far: numbers the draws of their vectors
        self._optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, config.beta2), fused=True)
        self._learning_rates = [group["lr"] for group in self._optimizer.param_groups]
        self._learning_rate_factor = 1.0

    @property
    def steps(self) -> Steps:
        """The steps taken so far."""
        return Steps(self._n_steps, self._n_skipped)

    def step(self, loss_of: Callable[[], Tensor]) -> None:
        """Take one step down the loss that `loss_of` computes with dropout on.

        A loss that read some items alone, `items.vectors(rows)`, moves these alone.
        """
        # Dropout draws from torch's global generator: what it draws is tied to the step's number.
        devices = [self._scorer.start_D.device] if self._scorer.start_D.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(_mix(self._seed, self._n_steps))
            self._scorer.train()
            self._optimizer.zero_grad(set_to_none=True)
            loss = loss_of()
            torch.autograd.backward(loss)
            self._scorer.items.content.pass_on()
            self._scorer.eval()
        table = self._scorer.items.table("vector_VD")
        with rows_in_play(self._optimizer, table) as stepped:
            weights = [stepped if p is table else p for _, p in self._scorer.learned()]
            norm = nn.utils.clip_grad_norm_(weights, self._config.clip_norm, foreach=True)
            norm = norm + self._clipped_apart().to(norm.device)
            self._set_rates()
            self._n_steps += 1
            if torch.isfinite(norm + loss.detach()):  # the step's only device sync
                self._optimizer.step()
            else:
                self._n_skipped += 1
                self._tell_skipped(float(loss.detach()), float(norm))
        self._scorer.items.content.refresh()

    def follow(self, changes: Changes) -> dict[str, Int32s]:
        """Give new and recycled rows fresh vectors and no moments, and say which, by table.

        What the items say of themselves must have followed before.
        """
        items = self._scorer.items
        n_rows = {"vector_VD": changes.n_items, "token_HD": items.content.n_buckets}
        fresh = {
            name: np.arange(items.n_rows[name], n, dtype=np.int32) for name, n in n_rows.items()
        }
        fresh["vector_VD"] = np.concatenate([changes.recycled_R, fresh["vector_VD"]])
        items.n_rows = n_rows
        for name, rows_R in fresh.items():
            if len(rows_R):
                self._start_fresh(name, rows_R)
        return fresh

    def adjust(self, learning_rate_factor: float) -> None:
        """Multiply the configured learning rates, from the next step on; 1 undoes it.

        No part of the state: whoever adjusts does so again after a load.
        """
        self._learning_rate_factor = learning_rate_factor

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's weights and moments; of the items, these rows' alone.

        What numbers the draws goes on counting: the steps to come do not repeat earlier ones.
        """
        for name, weight in self._weights().items():
            saved = state["weights"][name]
            is_items, is_table = name == _ITEM_TABLE, name in self._n_rows()
            whole = slice(len(saved["weight"])) if is_table else ...
            kept = torch.from_numpy(rows_R) if is_items else whole
            taken = rows_R if is_items else whole
            with torch.no_grad():
                weight[kept] = _tensor(saved["weight"][taken], weight)
            if "step" not in saved and weight not in self._optimizer.state:
                continue  # has never been stepped
            moments = self._optimizer.state.get(weight) or _no_moments(weight)
            for moment in MOMENTS:
                known = moment in saved
                moments[moment][kept] = _tensor(saved[moment][taken], weight) if known else 0.0
            # Bias is corrected by a tensor's step count, which belongs to its moments; a table's
            # stands for all its rows, and never goes back.
            step = float(saved.get("step", 0))
            moments["step"].fill_(max(step, float(moments["step"])) if is_table else step)
            self._optimizer.state[weight] = moments

    def state_dict(self) -> State:
        n_rows = self._n_rows()
        weights: State = {}
        for name, weight in self._weights().items():
            moments = self._optimizer.state.get(weight, {})
            kept = slice(n_rows[name]) if name in n_rows else ...
            weights[name] = {"weight": _array(weight[kept])} | {
                moment: _array(moments[moment][kept]) for moment in MOMENTS if moments
            }
            if moments:
                weights[name]["step"] = int(moments["step"])
        return {
            "schema_version": 1,
            "weights": weights,
            "n_rows": dict(self._scorer.items.n_rows),
            # The norm of a gradient is summed in an order that depends on a table's length.
            "capacity": {name: len(self._scorer.items.table(name)) for name in TABLES},
            "n_steps": self._n_steps,
            "n_skipped": self._n_skipped,
            "n_fresh": self._n_fresh,
            "base": self._scorer.base,
        }

    def load_state_dict(self, state: State) -> None:
        check_base("learner.tower.folder", state["base"], self._scorer.base)
        for table, capacity in state["capacity"].items():
            self._resize(table, capacity)
        self._scorer.items.n_rows = dict(state["n_rows"])
        for name, weight in self._weights().items():
            saved = state["weights"][name]
            with torch.no_grad():
                weight.copy_(_padded(saved["weight"], weight))
            if "step" in saved:
                moments = {moment: _padded(saved[moment], weight) for moment in MOMENTS}
                step = torch.tensor(float(saved["step"]), device=weight.device)
                self._optimizer.state[weight] = {"step": step, **moments}
        self._n_steps = state["n_steps"]
        self._n_skipped = state["n_skipped"]
        self._n_fresh = state["n_fresh"]

    def _tell_skipped(self, loss: float, norm: float) -> None:
        if self._n_skipped & (self._n_skipped - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            LOGGER.warning(
                "step %d is skipped, the %d. so far: loss %g, gradient norm %g",
                self._n_steps,
                self._n_skipped,
                loss,
                norm,
            )

    def _set_rates(self) -> None:
        factor = self._learning_rate_factor * rate_factor(self._config.schedule, self._n_steps)
        for group, rate in zip(self._optimizer.param_groups, self._learning_rates, strict=True):
            group["lr"] = rate * factor

    def _groups(self) -> list[dict[str, object]]:
        """Every parameter, by how it is stepped."""
        config = self._config
        items = list(self._scorer.items.parameters(recurse=False))
        adapters = [one for one in self._adapters() if one.weights]
        items += [] if self._scorer.askers is None else self._scorer.askers.parameters()
        apart = {id(p) for p in (*items, *(p for one in adapters for p in one.weights.values()))}
        others = [p for p in self._weights().values() if id(p) not in apart]
        matrices = [p for p in others if p.ndim >= 2]
        vectors = [p for p in others if p.ndim < 2]
        rate = config.learning_rate
        return [
            {"params": matrices, "lr": rate, "weight_decay": config.weight_decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
            {"params": items, "lr": config.item_learning_rate, "weight_decay": 0.0},
            *(
                {"params": list(one.weights.values()), "lr": one.learning_rate, "weight_decay": 0.0}
                for one in adapters
            ),
        ]

    def _clipped_apart(self) -> Tensor:
        """Clip what reads the texts by itself: few texts stand for all of them in its gradient.

        How much it varies by that would else say how far all other weights go.
        """
        weights = self._scorer.items.content.adapters.weights.values()
        if not weights:
            return torch.zeros(())
        return nn.utils.clip_grad_norm_(weights, self._config.clip_norm, foreach=True)

    def _weights(self) -> dict[str, nn.Parameter]:
        """What is stepped, by name: the scorer's weights, and adapters of what reads the texts."""
        texts = self._scorer.items.content.adapters
        return dict(self._scorer.learned()) | {
            f"{_OF_TEXTS}.{name}": weight for name, weight in texts.weights.items()
        }

    def _adapters(self) -> list[Adapters]:
        return [self._scorer.adapters, self._scorer.items.content.adapters]

    def _n_rows(self) -> dict[str, int]:
        """The rows in use of each table, by the parameter's name."""
        return {f"items.{name}": n for name, n in self._scorer.items.n_rows.items()}

    def _start_fresh(self, name: str, fresh: Int32s) -> None:
        items = self._scorer.items
        n_rows, capacity = items.n_rows[name], len(items.table(name))
        if n_rows > capacity:
            self._resize(name, max(n_rows, 2 * capacity))
        generator = torch.Generator().manual_seed(_mix(self._seed, self._n_fresh))
        rows_R = torch.from_numpy(fresh.astype(np.int64))
        items.start_fresh(name, rows_R, generator)
        # The table's step count stays: late in a stream a fresh row's first steps are not damped
        # by bias correction, and it learns faster than rows did at the beginning.
        moments = self._optimizer.state.get(items.table(name), {})
        for moment in MOMENTS if moments else ():
            moments[moment][rows_R] = 0.0
        self._n_fresh += len(fresh)

    def _resize(self, name: str, n_rows: int) -> None:
        """Put a table's vectors, with their moments, into one of `n_rows` rows."""
        old = self._scorer.items.table(name)
        new = nn.Parameter(_resized(old.detach(), n_rows))
        setattr(self._scorer.items, name, new)
        for group in self._optimizer.param_groups:
            group["params"] = [new if p is old else p for p in group["params"]]
        if old in self._optimizer.state:
            moments = self._optimizer.state.pop(old)
            resized = {moment: _resized(moments[moment], n_rows) for moment in MOMENTS}
            self._optimizer.state[new] = {"step": moments["step"], **resized}


def _resized(table: Tensor, n_rows: int) -> Tensor:
    resized = table.new_zeros(n_rows, *table.shape[1:])
    n_kept = min(n_rows, len(table))
    resized[:n_kept] = table[:n_kept]
    return resized


def _no_moments(weight: Tensor) -> dict[str, Tensor]:
    """What the optimizer knows of a weight before its first step."""
    step = torch.zeros((), device=weight.device)
    moments: dict[str, Tensor] = {moment: torch.zeros_like(weight) for moment in MOMENTS}
    return {"step": step} | moments


def _padded(rows: NDArray[np.float32], like: Tensor) -> Tensor:
    """Saved rows in a tensor shaped like a weight, zeros behind them."""
    saved = _tensor(rows, like)
    return _resized(saved, len(like)) if like.ndim else saved


def _tensor(array: NDArray[np.float32], like: Tensor) -> Tensor:
    return torch.from_numpy(np.array(array)).to(like)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return array


def _mix(seed: int, number: int) -> int:
    """One generator seed for each pair; distinct pairs seldom share one."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)
