"""A small network that orders a few candidates of each query, learned from what was clicked.

# Q queries, U their candidates end to end, F features, H hidden units
"""

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from stream.values import State, Steps


class RerankerConfig(BaseModel):
    """How candidates are weighed and how fast that is learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: PositiveInt = 16
    """Units between the features and the score."""
    learning_rate: PositiveFloat = 3e-3
    minibatch: PositiveInt = 64
    """Answered queries that one step learns."""
    seed: int = Field(default=0, ge=0, lt=2**31)


class Reranker:
    """Scores candidates by their features; learns by the softmax over each query's candidates [1]_.

    It lives on the CPU, whatever the other learners run on: it has some hundred weights.

    Parameters
    ----------
    n_features : int
        F.
    config : RerankerConfig
        Its size and its learning.

    References
    ----------
    .. [1] Cao, Qin, Liu, Tsai, Li. Learning to rank: from pairwise approach to listwise approach.
       ICML 2007.
    """

    def __init__(self, n_features: int, config: RerankerConfig) -> None:
        self._minibatch = config.minibatch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            # What is added to all candidates alike changes no order: the score needs no bias.
            self._network = nn.Sequential(
                nn.Linear(n_features, config.hidden),
                nn.ReLU(),
                nn.Linear(config.hidden, 1, bias=False),
            )
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=config.learning_rate)
        self._steps = Steps(0, 0)

    @property
    def steps(self) -> Steps:
        """The steps taken so far."""
        return self._steps

    def scores(self, feature_UF: Tensor) -> Tensor:
        """Score of each candidate, shape (U,)."""
        with torch.inference_mode():
            return self._score(feature_UF)

    def learn(self, feature_UF: Tensor, starts_Q: Tensor, clicked_Q: Tensor) -> None:
        """Take steps towards ranking what was clicked first.

        Parameters
        ----------
        feature_UF : float tensor, shape (U, F)
            The candidates of all queries, end to end.
        starts_Q : int64 tensor, shape (Q + 1,)
            Query q has the candidates `starts_Q[q]` up to `starts_Q[q + 1]`.
        clicked_Q : int64 tensor, shape (Q,)
            The place, among all U, of the one that was clicked.
        """
        for start in range(0, len(clicked_Q), self._minibatch):
            stop = min(start + self._minibatch, len(clicked_Q))
            first, last = int(starts_Q[start]), int(starts_Q[stop])
            self._step(
                feature_UF[first:last],
                torch.diff(starts_Q[start : stop + 1]),
                clicked_Q[start:stop] - first,
            )

    def _step(self, feature_UF: Tensor, count_Q: Tensor, clicked_Q: Tensor) -> None:
        self._optimizer.zero_grad()
        score_U = self._score(feature_UF)
        query_U = torch.repeat_interleave(torch.arange(len(count_Q)), count_Q)
        largest_Q = torch.full((len(count_Q),), -torch.inf)
        largest_Q = largest_Q.scatter_reduce(0, query_U, score_U.detach(), "amax")
        summed_Q = torch.zeros(len(count_Q))
        summed_Q = summed_Q.index_add(0, query_U, torch.exp(score_U - largest_Q[query_U]))
        loss = (torch.log(summed_Q) + largest_Q - score_U[clicked_Q]).mean()
        torch.autograd.backward(loss)
        is_finite = bool(torch.isfinite(loss.detach()))
        if is_finite:
            self._optimizer.step()
        self._steps = Steps(self._steps.n + 1, self._steps.n_skipped + (not is_finite))

    def _score(self, feature_UF: Tensor) -> Tensor:
        score_U: Tensor = self._network(feature_UF)[:, 0]
        return score_U

    def state_dict(self) -> State:
        moments = self._optimizer.state_dict()["state"]
        return {
            "schema_version": 1,
            "weights": {
                name: weight.detach().numpy() for name, weight in self._network.named_parameters()
            },
            "moments": {
                str(number): {name: moment.numpy() for name, moment in of_weight.items()}
                for number, of_weight in moments.items()
            },
            "n_steps": self._steps.n,
            "n_skipped": self._steps.n_skipped,
        }

    def load_state_dict(self, state: State) -> None:
        with torch.no_grad():
            for name, weight in self._network.named_parameters():
                weight.copy_(torch.from_numpy(state["weights"][name].copy()))
        optimizer = self._optimizer.state_dict()
        optimizer["state"] = {
            int(number): {
                name: torch.from_numpy(moment.copy()) for name, moment in of_weight.items()
            }
            for number, of_weight in state["moments"].items()
        }
        self._optimizer.load_state_dict(optimizer)
        self._steps = Steps(state["n_steps"], state["n_skipped"])
