"""The transformer and neighbour methods blended: what they rank best, ordered by a learned eye.

# B queries of a batch, P distinct ones among them, U candidates, K list length

Each part names its best items; a small network orders their union by what every part says of an
item and how sure it is, and learns from each click that was predicted. A part counts for a query
what its record on such queries earns it: with a long history or much support by neighbours
another one may be right than at a session's first click. It is stacking [1]_, kept while the
stream runs: each lesson is a prediction that was made before its answer was known.

References
----------
.. [1] Wolpert. Stacked generalization. Neural Networks 5, 1992.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor

from learners.blend_features import Union, features, n_features, union
from learners.choosing import with_choice
from learners.distinct_queries import distinct_queries
from learners.ranked import Ranked
from learners.reranker import Reranker, RerankerConfig
from learners.top_items import top_candidates, top_items_of_candidates
from learners.transformer import TransformerLearner
from stream.context_rows import chosen
from stream.protocols import Learner
from stream.values import (
    Bools,
    Changes,
    Float64s,
    Int32s,
    Int64s,
    Lessons,
    Outcomes,
    Predictions,
    Queries,
    State,
    Steps,
)


class BlendConfig(BaseModel):
    """How the parts are blended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: PositiveInt = 200
    """Best items of each part that are looked at."""
    reranker: RerankerConfig = RerankerConfig()


class Neighbours(Learner, Protocol):
    """A learner that ranks by votes."""

    def rank(self, queries: Queries, n: int) -> Ranked: ...


class Blend:
    """A transformer and neighbour methods that answer as one, and each for itself.

    Click and conversion probabilities are the transformer's; `adjust` and `restore` concern it.

    Parameters
    ----------
    config : BlendConfig
        How many candidates, and how they are weighed.
    transformer : tuple of str and TransformerLearner
        The part that scores every item, and its name.
    neighbours : mapping of str to Neighbours
        The other parts.
    """

    def __init__(
        self,
        config: BlendConfig,
        transformer: tuple[str, TransformerLearner],
        neighbours: Mapping[str, Neighbours],
    ) -> None:
        self._n_candidates = config.candidates
        self._transformer_name, self._transformer = transformer
        self._neighbours = dict(neighbours)
        self._reranker = Reranker(n_features(len(neighbours)), config.reranker)
        self._asked: _Asked | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, the transformer's first."""
        return (self._transformer_name, *self._neighbours)

    def predict(self, queries: Queries) -> Predictions:
        return self.predict_all(queries)[0]

    def predict_all(self, queries: Queries) -> tuple[Predictions, dict[str, Predictions]]:
        """What the blend answers, and each part by its name."""
        asked = self._asked = self._ask(queries)
        score_U = self._reranker.scores(asked.feature_UF).double().numpy()
        n_asked = len(asked.scored.row_BN)
        top_items_PK = top_items_of_candidates(
            asked.joined.query_U,
            asked.joined.row_U.astype(np.int32),
            score_U,
            n_asked,
            queries.tie_hash_V,
            queries.k,
        )
        lists = {self._transformer_name: asked.scored, **asked.votes}
        parts = {
            name: Predictions(ranked.row_BN[:, : queries.k][asked.place_of_B])
            for name, ranked in lists.items()
        }
        first = parts[self._transformer_name]
        parts[self._transformer_name] = Predictions(first.top_items_BK, *asked.told)
        told = Predictions(top_items_PK[asked.place_of_B], *asked.told)
        return with_choice(told, queries, self._best, self._transformer.click_by_place), parts

    def learn(self, outcomes: Outcomes) -> None:
        """Teach the network what the parts said before they learn the answers themselves."""
        if (outcomes.is_sample_B & (outcomes.answer_B >= 0)).any():
            self._learn_order(outcomes)
        self._transformer.learn(outcomes)
        for neighbours in self._neighbours.values():
            neighbours.learn(outcomes)

    def rehearse(self, lessons: Lessons) -> None:
        """Have the transformer go over lessons once more; votes and order gain nothing by it."""
        self._transformer.rehearse(lessons)

    def follow(self, changes: Changes) -> None:
        self._asked = None
        self._transformer.follow(changes)
        for neighbours in self._neighbours.values():
            neighbours.follow(changes)

    def adjust(self, replay_factor: float, learning_rate_factor: float) -> None:
        """Multiply the transformer's replay and learning rates as configured; 1 and 1 undo it."""
        self._transformer.adjust(replay_factor, learning_rate_factor)

    def restore(self, state: State, is_same_V: Bools) -> None:
        """Take back the transformer's weights of an earlier state of the blend."""
        self._transformer.restore(state["parts"][self._transformer_name], is_same_V)

    @property
    def steps(self) -> Steps:
        """The steps taken so far, of the transformer and of the network that blends."""
        one, other = self._transformer.steps, self._reranker.steps
        return Steps(one.n + other.n, one.n_skipped + other.n_skipped)

    def state_dict(self) -> State:
        parts: dict[str, Learner] = {self._transformer_name: self._transformer, **self._neighbours}
        return {
            "schema_version": 1,
            "reranker": self._reranker.state_dict(),
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }

    def load_state_dict(self, state: State) -> None:
        self._asked = None
        self._reranker.load_state_dict(state["reranker"])
        self._transformer.load_state_dict(state["parts"][self._transformer_name])
        for name, neighbours in self._neighbours.items():
            neighbours.load_state_dict(state["parts"][name])

    def _ask(self, queries: Queries) -> "_Asked":
        """Ask every part about the distinct queries of a batch."""
        distinct, place_of_B = distinct_queries(queries)
        context_P = distinct.context_of_B
        n_listed = max(self._n_candidates, queries.k)
        scores = self._transformer.score(queries)
        row_CN = scores.top_items(n_listed)
        row_PN = row_CN[context_P]
        votes = {name: part.rank(distinct, n_listed) for name, part in self._neighbours.items()}
        joined = union([row_PN, *(ranked.row_BN for ranked in votes.values())], queries.n_items)
        scored_U = scores.of(context_P[joined.query_U].astype(np.int64), joined.row_U)
        score_PN = np.full(row_PN.shape, -np.inf)
        score_PN[row_PN >= 0] = scored_U[joined.place_of[0]]
        n_P = (row_PN >= 0).sum(axis=1)
        scored = Ranked(row_PN, score_PN, scores.total()[context_P], n_P)
        contexts = chosen(queries.contexts, context_P)
        feature_UF = torch.from_numpy(
            features(joined, scored_U, scored, list(votes.values()), contexts)
        )
        return _Asked(
            queries=queries,
            place_of_B=place_of_B,
            scored=scored,
            votes=votes,
            joined=joined,
            feature_UF=feature_UF,
            told=scores.told,
        )

    def _best(self, queries: Queries, n: int) -> tuple[Int32s, Float64s]:
        """The best n rows of each query, and their scores."""
        asked = self._ask(queries)
        score_U = self._reranker.scores(asked.feature_UF).double().numpy()
        query_U, row_U = asked.joined.query_U, asked.joined.row_U.astype(np.int32)
        n_asked = len(asked.scored.row_BN)
        row_PN, score_PN = top_candidates(query_U, row_U, score_U, n_asked, queries.tie_hash_V, n)
        return row_PN[asked.place_of_B], score_PN[asked.place_of_B]

    def _learn_order(self, outcomes: Outcomes) -> None:
        """One lesson for each click that was among the candidates."""
        asked = self._asked
        if asked is None or asked.queries is not outcomes.queries:
            asked = self._ask(outcomes.queries)
        joined = asked.joined
        is_lesson_B = outcomes.is_sample_B & (outcomes.answer_B >= 0)
        query_Q = asked.place_of_B[is_lesson_B]
        place_Q, is_found_Q = joined.find(query_Q, outcomes.answer_B[is_lesson_B])
        query_Q, place_Q = query_Q[is_found_Q], place_Q[is_found_Q]
        starts = np.searchsorted(joined.query_U, np.arange(len(asked.scored.row_BN) + 1))
        count_Q = np.diff(starts)[query_Q]
        starts_Q = np.concatenate(([0], np.cumsum(count_Q)))
        skip_Q = starts[query_Q] - starts_Q[:-1]
        taken_U = np.arange(starts_Q[-1]) + np.repeat(skip_Q, count_Q)
        self._reranker.learn(
            asked.feature_UF[torch.from_numpy(taken_U)],
            torch.from_numpy(starts_Q),
            torch.from_numpy(place_Q - skip_Q),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the parts said of the distinct queries of a batch: query b is the `place_of_B[b]`-th."""

    queries: Queries
    place_of_B: Int64s
    scored: Ranked
    votes: Mapping[str, Ranked]
    joined: Union
    feature_UF: Tensor
    told: tuple[Float64s | None, Float64s | None]
