"""Predictions meet their answers.

# B clicks of the batch, N lists of the batch, S their items end to end, M lessons

A click answers its own query at once. A click on an item that is admitted only after its batch
has no row yet: it is judged (a miss) with its batch, and learned with the next one, from the
context that was scored.

A list that was shown is answered by its clicks until its attribution window has passed; then it
is mature: what was not clicked never will be. A click is followed by its conversions until its
conversion window has passed. Both windows are event time, and pass when the watermark does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stream.catalogue import Catalogue
from stream.durations import DurationMs
from stream.events import FEEDBACK_KINDS, Conversion, Feedback
from stream.histories import Histories
from stream.joining.click_matching import VERDICTS, Matches, match
from stream.joining.closed_requests import ClosedRequests
from stream.joining.deferral import Deferral
from stream.joining.followups import Followups
from stream.joining.held_clicks import HeldClicks
from stream.joining.impressions import PendingLists
from stream.joining.intake import Intake
from stream.joining.item_hashes import ItemHashes
from stream.joining.pair_chains import pair_keys
from stream.joining.seen_answers import is_seen, is_seen_newcomer
from stream.lessons import joined
from stream.values import (
    Batch,
    Changes,
    Conversions,
    Int32s,
    Int64s,
    Lessons,
    Matured,
    Opinions,
    Outcomes,
    Predictions,
    Queries,
    ShownLessons,
    State,
    no_conversions,
    no_opinions,
    none_matured,
)

Wait = Annotated[DurationMs, Field(gt=0)]

COUNTS = (
    "impressions",
    "shown_items",
    *VERDICTS,
    "clicks_before_impression",
    "matured_early",
    "joined_conversions",
    "repeated_conversions",
    "late_conversions",
    "orphan_conversions",
    "conversions_matured_early",
    *(f"feedback_{kind}" for kind in FEEDBACK_KINDS),
    "orphan_feedback",
)
"""What is counted since the stream began, beside what the intake counts."""


class JoinerConfig(BaseModel):
    """How long answers are waited for, and how many wait."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribution_window: Wait = 30 * 60_000
    """How long after a list was shown a click on it counts; a list is judged when this is over."""
    conversion_window: Wait = 7 * 24 * 3_600_000
    """How long after a click a conversion of it counts; a click is judged when this is over."""
    early_wait: Wait = 60_000
    """How long a click waits for a list that comes after it, while lists are coming."""
    match_without_request: Literal["auto", "always", "never"] = "auto"
    """Whether a click that names no request is taken for one on the latest list that showed its
    item to its user, else for an organic one. `auto`: until the first click that names one."""
    labels: Literal["wait", "eager"] = "wait"
    """When lists are learned: `wait` until they are mature, or `eager`ly as not clicked, and
    clicks on them when they come. Metrics wait in any case."""
    max_pending: PositiveInt = 100_000
    """Lists that wait at the most, and so many clicks for conversions, and for their list; the
    oldest are let go first, and counted. Of shown items 32 times as many may wait."""


_DEFAULTS = JoinerConfig()


class Joiner:
    """Turns queries and predictions into outcomes.

    Each click is counted once: `joined_clicks` and `repeated_clicks` met a shown item,
    `organic_clicks` name no request and meet none; of those that name one `late_clicks` came
    after its list was over, `clicks_not_shown` name an item it does not show, and
    `orphan_clicks` have no list, or one of another user. `clicks_before_impression` joined a
    list that is later by its clock. `impressions` and `shown_items` were accepted,
    `repeated_requests` and `late_impressions` were not. All clicks are queries and lessons.

    A click without a request is matched to lists of its own or earlier batches alone; a list
    that comes later and would have been answered by it is refused as late, because weights and
    histories know the answer. A conversion is late only while its click still waits, an orphan
    afterwards. What belongs to forgotten users vanishes from all tables, uncounted. Clicks are
    remembered for conversions and feedback from the first batch that holds a list, a conversion
    or feedback: before that a stream of clicks costs nothing. Whether clicks converted is told
    from the first conversion on. What still waits when the stream ends is neither judged nor
    learned; a resumed run goes on with it.

    Everything is bounded by `max_pending` (see `PendingLists`, `Followups`, `HeldClicks` and
    `ClosedRequests` for the bytes): at the default, with lists of 10 items, contexts of 50 and
    two learners that estimate clicks, about 100 MB, and up to four times that before what is
    gone is cleared away.

    Parameters
    ----------
    catalogue, histories
        What items and users are known by.
    config : JoinerConfig, optional
    learners : sequence of str, optional
        Whose click probabilities are kept until lists mature.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        histories: Histories,
        config: JoinerConfig = _DEFAULTS,
        learners: Sequence[str] = (),
    ) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._is_eager = config.labels == "eager"
        self._matching = config.match_without_request
        self._names_requests = False  # whether any click has ever named one
        self._deferral = Deferral()
        self._lists = PendingLists(config.attribution_window, config.max_pending, learners)
        self._closed = ClosedRequests(config.max_pending)
        self._held = HeldClicks(config.early_wait, config.max_pending)
        self._followups = Followups(config.conversion_window, config.max_pending)
        self._attribution_ms = min(config.attribution_window, config.conversion_window)
        self._intake = Intake(
            self._lists, self._closed, self._held, config.attribution_window, self._was_clicked
        )
        self._counts = dict.fromkeys(COUNTS, 0)
        self._seq = -1
        # Whether the stream has anything that clicks could answer or be followed by.
        self._remembers_clicks = False
        self._has_conversions = False
        self._item_hashes = ItemHashes()

    def gather(self, arrived: Batch) -> Batch:
        """What is to be asked and judged now: the first step of a batch.

        Lists whose request came before, or which come too late, become dead letters. A click
        that overtook its list waits for it, so that the list is scored without it; if the list
        does not come, the click goes on alone and the list is refused later.
        """
        return self._intake.gather(arrived)

    def join(
        self, batch: Batch, queries: Queries, predictions: Mapping[str, Predictions]
    ) -> Outcomes:
        self._seq = batch.seq
        user_B = self._histories.user_hashes(batch.clicks.user_B)
        answer_B = self._catalogue.rows(batch.clicks.item_B)
        is_sample_B = ~(is_seen(queries, answer_B) | is_seen_newcomer(batch, queries, answer_B))
        lessons = self._lessons(batch, queries, user_B, answer_B)
        first = self._lists.next_index
        looking_N = self._take_in(batch, queries, predictions)
        matches, conversions, opinions = self._answer(batch, user_B, answer_B)
        taught = self._taught_early(queries, first, matches) if self._is_eager else ()
        matured, taught_late = self._mature(batch.watermark_ms)
        return Outcomes(
            seq=batch.seq,
            watermark_ms=batch.watermark_ms,
            queries=queries,
            predictions=predictions,
            answer_B=answer_B,
            is_sample_B=is_sample_B,
            lessons=lessons,
            shown_lessons=taught + taught_late,
            matured=matured,
            conversions=conversions,
            join_counts=self._join_counts(),
            user_B=user_B,
            looking_N=looking_N,
            opinions=opinions,
            context_B=batch.clicks.context_B,
        )

    def follow(self, changes: Changes) -> None:
        """Drop what recycled rows meant, and forgotten users."""
        self._deferral.follow(changes)
        self._item_hashes.forget(changes.recycled_R)
        forgotten_F = changes.forgotten_F
        self._lists.follow(changes.n_items, changes.recycled_R, self._seq, forgotten_F)
        self._held.forget(forgotten_F)
        self._followups.forget(forgotten_F)

    def state_dict(self) -> State:
        return {
            "schema_version": 2,
            "deferral": self._deferral.state_dict(),
            "lists": self._lists.state_dict(),
            "closed": self._closed.state_dict(),
            "held": self._held.state_dict(),
            "intake": self._intake.state_dict(),
            "followups": self._followups.state_dict(),
            "counts": dict(self._counts),
            "seq": self._seq,
            "remembers_clicks": self._remembers_clicks,
            "has_conversions": self._has_conversions,
            "names_requests": self._names_requests,
        }

    def load_state_dict(self, state: State) -> None:
        self._deferral.load_state_dict(state["deferral"])
        self._lists.load_state_dict(state["lists"])
        self._closed.load_state_dict(state["closed"])
        self._held.load_state_dict(state["held"])
        self._intake.load_state_dict(state["intake"])
        self._followups.load_state_dict(state["followups"])
        self._counts = dict(state["counts"])
        self._seq = state["seq"]
        self._remembers_clicks = state["remembers_clicks"]
        self._has_conversions = state["has_conversions"]
        self._names_requests = state["names_requests"]

    @property
    def _matches_unnamed(self) -> bool:
        # A log whose clicks on lists name them would count its other clicks as clicks on lists.
        return self._matching == "always" or (self._matching == "auto" and not self._names_requests)

    def _was_clicked(self, user: str, items: Sequence[str], ts_ms: int) -> bool:
        """Whether the loop has learned a click already that would answer a list of this time."""
        if not self._matches_unnamed:  # then such a click is no answer
            return False
        user_N = self._histories.user_hashes([user] * len(items))
        item_N = self._item_hashes.of(items, self._catalogue.rows(items))
        until_ms = ts_ms + self._attribution_ms
        pairs = pair_keys(user_N, item_N).tolist()
        return any(self._followups.has_unnamed_click(pair, ts_ms, until_ms) for pair in pairs)

    def _lessons(self, batch: Batch, queries: Queries, user_B: Int64s, answer_B: Int32s) -> Lessons:
        """What can be learned of the clicks now; the rest is kept for the next batch."""
        now = _lessons_of(queries, answer_B, user_B, np.flatnonzero(answer_B >= 0))
        lessons = joined(self._deferral.take(self._catalogue), now)
        index_D = np.flatnonzero(answer_B < 0)
        self._deferral.put(
            _lessons_of(queries, np.full(len(queries), -1, np.int32), user_B, index_D),
            [batch.clicks.item_B[b] for b in index_D.tolist()],
        )
        return lessons

    def _take_in(
        self, batch: Batch, queries: Queries, predictions: Mapping[str, Predictions]
    ) -> Int64s:
        """The batch's lists wait from now on, as they were scored; whom they were shown to."""
        lists, first = batch.impressions, self._lists.next_index
        if queries.shown is None or not len(lists):
            return np.zeros(0, np.int64)
        self._remembers_clicks = True
        user_N = self._histories.user_hashes(lists.user_N)
        item_S = self._item_hashes.of(lists.item_S, queries.shown.item_S)
        self._lists.add(lists, queries.shown, user_N, item_S, batch.seq)
        self._lists.keep_probabilities(first, predictions)
        self._counts["impressions"] += len(lists)
        self._counts["shown_items"] += len(lists.item_S)
        return user_N

    def _answer(
        self, batch: Batch, user_B: Int64s, answer_B: Int32s
    ) -> tuple[Matches | None, Conversions, Opinions]:
        """The batch's clicks meet lists, its conversions and feedback meet clicks."""
        clicks = batch.clicks
        sequels = [e for e in batch.others if isinstance(e, Conversion | Feedback)]
        self._remembers_clicks = self._remembers_clicks or bool(sequels)
        if not self._remembers_clicks:  # no list has ever come
            n_unnamed = len(clicks) if clicks.request_B is None else clicks.request_B.count(None)
            self._counts["organic_clicks"] += n_unnamed
            self._counts["orphan_clicks"] += len(clicks) - n_unnamed
            return None, no_conversions(), no_opinions()
        item_B = self._item_hashes.of(clicks.item_B, answer_B)
        self._names_requests = self._names_requests or clicks.request_B is not None
        matches = match(self._lists, self._closed, clicks, user_B, item_B, self._matches_unnamed)
        for verdict, count in matches.counts().items():
            self._counts[verdict] += count
        is_ahead = clicks.ts_B[matches.is_joined_B] < self._lists.ts_of(matches.joined)
        self._counts["clicks_before_impression"] += int(np.count_nonzero(is_ahead))
        self._followups.add(user_B, item_B, clicks.ts_B, clicks.request_B)
        opinions = self._join_sequels(sequels)
        conversions, n_early = self._followups.mature(batch.watermark_ms)
        self._counts["conversions_matured_early"] += n_early
        # Where conversions are not recorded, nothing is known of those of a click.
        return matches, conversions if self._has_conversions else no_conversions(), opinions

    def _join_sequels(self, sequels: Sequence[Conversion | Feedback]) -> Opinions:
        if not sequels:
            return no_opinions()
        user_K = self._histories.user_hashes([str(event.user) for event in sequels])
        items = [str(event.item) for event in sequels]
        item_K = self._item_hashes.of(items, self._catalogue.rows(items))
        ts_K = np.array([event.ts for event in sequels], np.int64)
        shown_K = self._lists.latest_showing(user_K, item_K, ts_K).tolist()
        pairs, times = pair_keys(user_K, item_K).tolist(), ts_K.tolist()
        joined_ts, kinds, values = list[int](), list[int](), list[float]()
        for event, pair, ts, index in zip(sequels, pairs, times, shown_K, strict=True):
            if isinstance(event, Conversion):
                self._has_conversions = True
                request = None if event.request_id is None else str(event.request_id)
                verdict = self._followups.convert(pair, ts, request, event.value or 0.0)
                self._counts[f"{verdict}_conversions"] += 1
            elif index >= 0 or self._followups.has_click(pair, ts):
                self._counts[f"feedback_{event.kind}"] += 1
                joined_ts.append(ts)
                kinds.append(FEEDBACK_KINDS.index(event.kind))
                values.append(math.nan if event.value is None else event.value)
            else:
                self._counts["orphan_feedback"] += 1
        return Opinions(np.array(joined_ts, np.int64), np.array(kinds, np.int64), np.array(values))

    def _taught_early(
        self, queries: Queries, first: int, matches: Matches | None
    ) -> tuple[ShownLessons, ...]:
        """The batch's lists as clicked so far, and the clicks on lists of batches before."""
        taught = []
        if queries.shown is not None and len(queries.shown):
            taught.append(ShownLessons(queries.shown, self._lists.clicked_from(first), True))
        if matches is not None and len(index_K := matches.joined[matches.joined < first]):
            shown = self._lists.items_as_scored(index_K)
            taught.append(ShownLessons(shown, np.ones(len(index_K), np.bool_), False))
        return tuple(taught)

    def _mature(self, watermark_ms: int) -> tuple[Matured, tuple[ShownLessons, ...]]:
        """The lists whose answers are known now, to be judged and to be learned."""
        place_M, ts_M, n_early = self._lists.take_mature(watermark_ms)
        self._counts["matured_early"] += n_early
        self._closed.add(self._lists.requests(place_M), "matured")
        self._closed.trim()
        if not len(place_M):
            return none_matured(), ()
        matured = self._lists.answers(place_M, ts_M)
        taught = () if self._is_eager else (ShownLessons(*self._lists.as_scored(place_M), False),)
        self._lists.tidy()
        return matured, taught

    def _join_counts(self) -> dict[str, int]:
        return {
            **self._counts,
            **self._intake.counts,
            "pending_impressions": len(self._lists),
            "held_clicks": len(self._held),
        }


def _lessons_of(queries: Queries, target_B: Int32s, user_B: Int64s, index_M: Int64s) -> Lessons:
    return Lessons(
        contexts=queries.contexts,
        context_of_M=queries.context_of_B[index_M],
        target_M=target_B[index_M],
        ts_M=queries.ts_B[index_M],
        user_M=user_B[index_M],
        session_M=queries.session_B[index_M],
        session_length_M=queries.session_length_B[index_M],
    )
