"""The transformer as a learner: ranks with averaged weights, then fine-tunes on the answers.

# B queries, C contexts, D width, M lessons, Q replayed sequences, T history length, V items,
# K list length, S items of the lists shown, F features of their match, R some rows, P rows in play
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.asker_vectors import AskerVectors
from learners.averaging import AveragedScorer
from learners.choosing import with_choice
from learners.click_features import N_FEATURES, click_features
from learners.finetuner import FineTuner
from learners.in_play import InPlay, rows_of_lists, rows_read
from learners.item_content import ItemContent
from learners.item_vectors import ItemVectors
from learners.objective import objective
from learners.replay import ReplayBuffer, minibatches, no_sequences
from learners.sampling import NegativeSampler
from learners.scored import Scored, exclude
from learners.scorer import Scorer
from learners.shown_tasks import ShownTasks, Taught, placed, rows_named
from learners.states import last_states, taught_states
from learners.transformer_config import TransformerConfig
from stream.context_rows import end_to_end
from stream.input_settings import InputsConfig
from stream.lessons import compacted, no_lessons, select
from stream.values import (
    Bools,
    Changes,
    Contexts,
    Float64s,
    Int32s,
    Lessons,
    Outcomes,
    Predictions,
    Queries,
    Shown,
    State,
    Steps,
)

# What the draws of a step are for: the negatives of step n share no bit with its other draws.
_OF_NEGATIVES = 1

_NOTHING = InputsConfig()


class TransformerLearner:
    """Predicts each next click over the full catalogue, and learns it by one pass plus replay.

    Of lists that were shown it says how likely a click on each item is, and how likely the click
    converts. The heads read the states of the weights that are served and teach them nothing,
    unless their losses are given a weight: lists leave the ranking as it is.

    Every random draw of step n comes from a generator seeded by (seed, n): what a resumed run
    draws does not depend on what ran before it.

    Parameters
    ----------
    config : TransformerConfig
    inputs : InputsConfig, optional
        What contexts say of who asks.
    """

    def __init__(self, config: TransformerConfig, inputs: InputsConfig = _NOTHING) -> None:
        self._config = config
        self._device = _device(config.device)
        self._content = ItemContent(config.content)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            scorer = Scorer(
                ItemVectors(config.width, self._content),
                config.shape,
                config.temperature,
                config.tower,
            )
        if inputs.is_on:
            scorer.askers = AskerVectors(config.width, inputs)
        self._scorer = scorer.to(self._device).eval()
        self._served = AveragedScorer(self._scorer, config.average_decay)
        self._finetuner = FineTuner(config.optimizer, self._scorer, config.seed)
        self._replay = ReplayBuffer(
            config.replay_sequences, config.history_items + 1, config.replay_recent, inputs
        )
        self._sampler = NegativeSampler(config.sampling)
        n_features = N_FEATURES + inputs.is_on
        self._tasks = ShownTasks(config.tasks, config.click_memory, n_features)
        self._n_learned = 0  # calls of learn that had lessons: numbers the draws of the replay
        self.adjust(1.0, 1.0)

    def predict(self, queries: Queries) -> Predictions:
        scored = self.score(queries)
        top_items_BK = scored.top_items(queries.k)[queries.context_of_B]
        told = Predictions(top_items_BK, *scored.told)
        return with_choice(told, queries, self.best, self.click_by_place)

    def best(self, queries: Queries, n: int) -> tuple[Int32s, Float64s]:
        """The best n rows of each query, and their scores."""
        row_CN, score_CN = self.score(queries).best(n)
        return row_CN[queries.context_of_B], score_CN[queries.context_of_B]

    def click_by_place(self, shown: Shown, n_places: int) -> Float64s:
        """How likely each item of lists is clicked at each of the first places, shape (S, K)."""
        return self._tasks.click_by_place(self._features(shown), shown, n_places)

    def score(self, queries: Queries) -> Scored:
        """What every item gets for each context, and what is likely to become of lists shown."""
        shown, n_ranked = queries.shown, len(queries.contexts.length_C)
        contexts = queries.contexts
        if shown is not None:
            contexts = end_to_end([contexts, shown.contexts])
        scorer = self._served.scorer
        with torch.inference_mode(), self._autocast():
            item_VD = self._served.vectors()
            state_CD = last_states(scorer, contexts, item_VD)
            lean_CD = scorer.askers.leans(contexts) if scorer.askers else None
            aimed_VD = scorer.aimed_at(item_VD[: queries.n_items])
            clicks_S = conversions_S = None
            if shown is not None:
                lean = None if lean_CD is None else lean_CD[n_ranked:]
                features_SF = click_features(item_VD, state_CD[n_ranked:], shown, lean)
                clicks_S, conversions_S = self._tasks.probabilities(features_SF, shown)

        def scores_of(part: slice) -> Tensor:
            with torch.inference_mode(), self._autocast():
                lean = None if lean_CD is None else lean_CD[:n_ranked][part]
                score_CV = scorer.scores_of_aimed(state_CD[:n_ranked][part], aimed_VD, lean).float()
                exclude(score_CV, queries.contexts.seen, part)
            return score_CV

        tie_hash_V = self._tensor(queries.tie_hash_V[: queries.n_items])
        return Scored(scores_of, n_ranked, tie_hash_V, clicks_S, self._is_sampled, conversions_S)

    def learn(self, outcomes: Outcomes) -> None:
        if len(outcomes.lessons):
            self._finetune(outcomes)
        self._tasks.learn(outcomes, self._features, self._learning_rate_factor)

    def rehearse(self, lessons: Lessons) -> None:
        """Take steps on lessons that were learned before; replay and heads stay as they are.

        A step takes as many of them as `learn` has positions in one, replayed ones included.
        """
        size = round(self._config.minibatch * (1 + self._config.replay_ratio))
        for start in range(0, len(lessons), size):
            part = select(lessons, np.arange(start, min(start + size, len(lessons))))
            self._step(part, no_sequences())

    def follow(self, changes: Changes) -> None:
        self._content.follow(changes)
        self._served.start_fresh(self._finetuner.follow(changes))
        self._replay.follow(changes)
        self._sampler.follow(changes)
        self._tasks.follow(changes)

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        """Multiply the replay and the learning rates as configured; 1 and 1 undo it.

        What is replayed beyond the configured ratio is drawn from the newest clicks alone.

        The heads of lists have no learning rate: their memory is divided instead.

        Raises
        ------
        ValueError
            If the replay factor is negative, or the other not positive, or one not finite.
        """
        if not (0 <= replay_factor < math.inf and 0 < learning_rate_factor < math.inf):
            raise ValueError(
                f"expected a replay factor of 0 or more and a learning rate factor above 0, "
                f"got {replay_factor} and {learning_rate_factor}"
            )
        self._replay_factor = float(replay_factor)
        self._learning_rate_factor = float(learning_rate_factor)
        self._finetuner.adjust(self._learning_rate_factor)

    def restore(self, state: State, is_same_V: Bools) -> None:
        """Take back the weights of an earlier state, trained and served, and their moments.

        What is held by row is taken back where the row means the same item still. The replay
        buffer, the items, the factors and what numbers the draws stay as they are.

        Parameters
        ----------
        state : State
            What `state_dict` gave earlier.
        is_same_V : bool array
            For each item now.

        Raises
        ------
        ValueError
            If `is_same_V` has another length than there are items.
        """
        n_items, n_then = (
            self._scorer.items.n_rows["vector_VD"],
            state["finetuner"]["n_rows"]["vector_VD"],
        )
        if len(is_same_V) != n_items:
            raise ValueError(f"expected a truth value for {n_items} items, got {len(is_same_V)}")
        rows_R = np.flatnonzero(is_same_V[:n_then])
        self._content.restore(state["content"], rows_R)
        self._finetuner.restore(state["finetuner"], rows_R)
        self._served.restore(state["served"], rows_R)
        self._tasks.restore(state["tasks"], rows_R)

    @property
    def steps(self) -> Steps:
        """The steps taken so far."""
        return self._finetuner.steps

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "content": self._content.state_dict(),
            "finetuner": self._finetuner.state_dict(),
            "served": self._served.state_dict(),
            "replay": self._replay.state_dict(),
            "sampler": self._sampler.state_dict(),
            "tasks": self._tasks.state_dict(),
            "n_learned": self._n_learned,
            "replay_factor": self._replay_factor,
            "learning_rate_factor": self._learning_rate_factor,
        }

    def load_state_dict(self, state: State) -> None:
        self._content.load_state_dict(state["content"])
        self._finetuner.load_state_dict(state["finetuner"])
        self._served.load_state_dict(state["served"])
        self._replay.load_state_dict(state["replay"])
        self._sampler.load_state_dict(state["sampler"])
        self._tasks.load_state_dict(state["tasks"])
        self._n_learned = state["n_learned"]
        self.adjust(state["replay_factor"], state["learning_rate_factor"])

    @property
    def _is_sampled(self) -> bool:
        """Whether the catalogue is too large for each step to score all of it."""
        return self._scorer.items.n_rows["vector_VD"] > self._config.sampling.exact_items

    def _finetune(self, outcomes: Outcomes) -> None:
        config, lessons = self._config, outcomes.lessons
        rng = np.random.default_rng((config.seed, self._n_learned))
        # More of everything would hold on to what a drift has made untrue: more means the newest.
        ratio = config.replay_ratio * min(self._replay_factor, 1.0)
        newest_ratio = config.replay_ratio * max(self._replay_factor - 1.0, 0.0)
        self._sampler.add(lessons.target_M)
        beside = self._tasks.for_encoder(outcomes, math.ceil(len(lessons) / config.minibatch))
        batches = minibatches(lessons, self._replay, config.minibatch, ratio, rng, newest_ratio)
        for (part, replayed), taught in zip(batches, beside, strict=True):
            self._step(part, replayed, taught)
        self._n_learned += 1

    def _step(self, lessons: Lessons, replayed: Contexts, beside: Sequence[Taught] = ()) -> None:
        if self._is_sampled:
            self._sampled_step(lessons, replayed, beside)
        else:
            self._finetuner.step(partial(self._loss, lessons, replayed, None, beside))
            self._served.update()

    def _sampled_step(self, lessons: Lessons, replayed: Contexts, beside: Sequence[Taught]) -> None:
        """A step that neither scores nor moves an item which is not in play."""
        lessons = compacted(lessons)
        history_CT, named = lessons.contexts.history_CT, rows_named(beside)
        read_R = rows_read(history_CT, lessons.target_M, replayed.history_CT, *named)
        rng = np.random.default_rng((self._config.seed, self._finetuner.steps.n, _OF_NEGATIVES))
        n_items = self._scorer.items.n_rows["vector_VD"]
        in_play = self._sampler.draw(read_R, n_items, rng)
        replayed = in_play.sequences(replayed)
        lessons, beside = in_play.lessons(lessons), placed(beside, in_play)
        self._served.settle(in_play.row_P)
        self._finetuner.step(partial(self._loss, lessons, replayed, in_play, beside))
        self._served.update_rows(in_play.row_P)

    def _features(self, shown: Shown) -> Tensor:
        """By the weights that are served from now on: the next predictions come from them."""
        with torch.inference_mode(), self._autocast():
            row_R = None
            if self._is_sampled:
                row_R, shown = rows_of_lists(shown)
            return self._features_by(self._served.scorer, self._served.vectors(row_R), shown)

    def _features_by(self, scorer: Scorer, item_VD: Tensor, shown: Shown) -> Tensor:
        with self._autocast():
            state_CD = last_states(scorer, shown.contexts, item_VD)
            lean_CD = scorer.askers.leans(shown.contexts) if scorer.askers else None
            return click_features(item_VD, state_CD, shown, lean_CD)

    def _loss(
        self,
        lessons: Lessons,
        replayed: Contexts,
        in_play: InPlay | None = None,
        beside: Sequence[Taught] = (),
    ) -> Tensor:
        """Of the new targets and of every position of the replayed ones, see `objective`.

        Over all items; or over those in play, which lessons and sequences name by their places.
        The weighted losses of what is taught beside them are added.
        """
        scorer, used, config = self._scorer, compacted(lessons), self._config.objective
        with self._autocast():
            item_VD = scorer.items.vectors(in_play.row_P if in_play else None)
            taught = taught_states(scorer, used, replayed, item_VD)
            score_NV = scorer.scores(taught.state_ND, item_VD, taught.lean_ND).float()
        log_weight_P = torch.from_numpy(in_play.log_weight_P).to(self._device) if in_play else None
        teacher_RV = self._taught_before(replayed, in_play) if config.distillation else None
        loss = objective(config, score_NV, taught.target_N, log_weight_P, teacher_RV)
        if beside:
            features_of = partial(self._features_by, scorer, item_VD)
            loss = loss + self._tasks.loss(beside, features_of).to(loss)
        return loss

    def _taught_before(self, replayed: Contexts, in_play: InPlay | None) -> Tensor:
        """What the served weights score at every position of the replayed sequences."""
        scorer = self._served.scorer
        with torch.no_grad(), self._autocast():
            item_VD = self._served.vectors(in_play.row_P if in_play else None)
            taught = taught_states(scorer, no_lessons(), replayed, item_VD)
            return scorer.scores(taught.state_ND, item_VD, taught.lean_ND).float()

    def _tensor(self, array: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self._device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._device.type == "cuda"
        )


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)
