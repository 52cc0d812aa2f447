"""A joiner at work on events written by hand."""

import copy
from collections.abc import Sequence

import numpy as np

from stream.catalogue import Catalogue, CatalogueConfig
from stream.events import Click, Event, Impression
from stream.histories import Histories, HistoriesConfig
from stream.joiner import Joiner, JoinerConfig
from stream.values import Changes, Contexts, Outcomes, Predictions
from tests.batches import batch_of_events, queries_of
from tests.stream_values import make_changes

ROW_OF = {f"i{row}": row for row in range(6)}
CONFIG = JoinerConfig(
    attribution_window=10, conversion_window=20, early_wait=3, match_without_request="always"
)
GAUGES = ["repeated_requests", "late_impressions", "pending_impressions", "held_clicks"]


class Desk:
    """A joiner with queries written by hand: every list is shown in a context told to it."""

    def __init__(self, config: JoinerConfig = CONFIG, learners: Sequence[str] = ("model",)):
        self.config = config
        self.learners = learners
        self.watermark = 0
        self.seq = 0
        self.joiner = self.fresh()

    def fresh(self) -> Joiner:
        self.catalogue = Catalogue(CatalogueConfig())
        self.catalogue.admit(list(ROW_OF), [])
        return Joiner(
            self.catalogue, Histories(HistoriesConfig(), 1), self.config, list(self.learners)
        )

    def step(
        self,
        *events: Event,
        contexts: Sequence[Sequence[int]] | None = None,
        follow: Changes | None = None,
        told: Sequence[str] = ("model",),
    ) -> Outcomes:
        arrived = batch_of_events(events, self.seq, self.watermark)
        self.arrived, self.batch = arrived, self.joiner.gather(arrived)
        queries = queries_of(self.batch, ROW_OF, contexts)
        n_shown = len(self.batch.impressions.item_S)
        top = np.zeros((len(self.batch.clicks), 1), np.int32)
        predictions = {name: Predictions(top) for name in self.learners} | {
            # No two lists are told the same.
            name: Predictions(
                top,
                (1 + np.arange(n_shown)) / (10_000 + 1_000 * self.seq),
                (1 + np.arange(n_shown)) / (20_000 + 1_000 * self.seq),
            )
            for name in told
        }
        outcomes = self.joiner.join(self.batch, queries, predictions)
        self.joiner.follow(follow or make_changes(len(ROW_OF)))
        self.watermark, self.seq = arrived.watermark_ms, self.seq + 1
        return outcomes

    def resume(self) -> None:
        """Go on with a fresh joiner that was given the state."""
        state = copy.deepcopy(self.joiner.state_dict())
        self.joiner = self.fresh()
        self.joiner.load_state_dict(state)

    @property
    def released(self) -> list[tuple[str, str, int, str | None]]:
        clicks = self.batch.clicks
        requests = clicks.request_B or [None] * len(clicks)
        return list(zip(clicks.user_B, clicks.item_B, clicks.ts_B.tolist(), requests, strict=True))


def shown(request: str, ts: int, items: str = "abc", user: str = "ann") -> Impression:
    """A list; each letter of `items` is an item."""
    return Impression(request, user, [f"i{ord(c) - ord('a')}" for c in items], ts, policy=request)


def click(item: str, ts: int, request: str | None = None, user: str = "ann") -> Click:
    return Click(user, f"i{ord(item) - ord('a')}", ts, request)


def matured(outcomes: Outcomes) -> list[tuple[int, str | None, list[bool]]]:
    """Time of maturity, request (told as policy) and answers of each matured list."""
    lists = outcomes.matured
    answers = np.split(lists.is_clicked_S, lists.starts[1:-1])
    return [
        (ts, policy, answer.tolist())
        for ts, policy, answer in zip(lists.ts_N.tolist(), lists.policy_N, answers, strict=False)
    ]


def taught(outcomes: Outcomes, is_converted: bool) -> list[tuple[str, int]]:
    """Item and place of what is taught of conversions: presumed not to, or to have converted."""
    item_of = {row: item for item, row in ROW_OF.items()} | {-1: "-"}
    return [
        (item_of[row], place)
        for lessons in outcomes.conversion_lessons
        if lessons.is_converted == is_converted
        for row, place in zip(
            lessons.shown.item_S.tolist(), lessons.shown.position_S.tolist(), strict=True
        )
    ]


def predicted(outcomes: Outcomes) -> list[tuple[int, bool, float | None]]:
    """Time of maturity, answer and what `model` had told of each clicked item of a list."""
    found = outcomes.predicted_conversions
    told = found.probability_of.get("model", np.full(len(found), np.nan)).tolist()
    return list(zip(found.ts_N.tolist(), found.is_converted_N.tolist(), told, strict=True))


def counted(outcomes: Outcomes) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: count for name, count in outcomes.join_counts.items() if count}


def histories_of(contexts: Contexts) -> list[list[int]]:
    rows = zip(contexts.history_CT.tolist(), contexts.length_C.tolist(), strict=True)
    return [history[:length] for history, length in rows]


def tick(ts: int) -> Click:
    """Lets time pass: a click of somebody else, on something that no list shows."""
    return Click("clock", "tick", ts)
