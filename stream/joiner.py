"""Predictions meet their answers.

# B clicks of the batch, N lists of the batch, S their items end to end, M lessons

A click answers its own query at once. A click on an item that is admitted only after its batch
has no row yet: it is judged (a miss) with its batch, and learned with the next one, from the
context that was scored.

A list that was shown is answered by its clicks until its attribution window has passed; then it
is mature: what was not clicked never will be. A click is followed by its conversions until its
conversion window has passed. Both windows are event time, and pass when the watermark does.

That a click does not convert is known days after it, that it does within minutes: taught as they
become known, conversions would be all that is learned for a window's length. So a click is taught
at once as presumed not to convert, once more if it does, and judged when its window has passed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stream.catalogue import Catalogue
from stream.conversions import ConversionLessons, no_conversions
from stream.durations import DurationMs
from stream.events import FEEDBACK_KINDS, Conversion, Feedback
from stream.histories import Histories
from stream.input_settings import InputsConfig
from stream.joining.click_matching import VERDICTS, Matches, match
from stream.joining.closed_requests import ClosedRequests
from stream.joining.deferral import Deferral
from stream.joining.followups import Followups
from stream.joining.held_clicks import HeldClicks
from stream.joining.impressions import PendingLists
from stream.joining.intake import Intake
from stream.joining.item_hashes import ItemHashes
from stream.joining.pair_chains import pair_keys
from stream.joining.scored_clicks import ScoredClicks
from stream.joining.seen_answers import is_seen
from stream.joining.sequels import Answered, Joined, join_sequels
from stream.lessons import joined, lessons_of
from stream.values import (
    Batch,
    Changes,
    Int32s,
    Int64s,
    Lessons,
    Matured,
    Outcomes,
    Predictions,
    Queries,
    ShownLessons,
    State,
    none_matured,
)

Wait = Annotated[DurationMs, Field(gt=0)]

COUNTS = (
    "impressions",
    "shown_items",
    *VERDICTS,
    "clicks_before_impression",
    "unlearned_clicks",
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
_NOTHING = InputsConfig()


class Joiner:
    """Turns queries and predictions into outcomes.

    Each click is counted once: `joined_clicks` and `repeated_clicks` met a shown item,
    `organic_clicks` name no request and meet none; of those that name one `late_clicks` came
    after its list was over, `clicks_not_shown` name an item it does not show, and
    `orphan_clicks` have no list, or one of another user. `clicks_before_impression` joined a
    list that is later by its clock. `impressions` and `shown_items` were accepted,
    `repeated_requests` and `late_impressions` were not. All clicks are queries and lessons, but for
    `unlearned_clicks`: their item had no row a batch later either, by `catalogue.min_count` or
    because more newcomers came than there are rows.

    A click without a request is matched to lists of its own or earlier batches alone; a list
    that comes later and would have been answered by it is refused as late, because weights and
    histories know the answer. A conversion is late only while its click still waits, an orphan
    afterwards. What belongs to forgotten users vanishes from all tables, uncounted. Clicks are
    remembered for conversions and feedback from the first batch that holds a list, a conversion
    or feedback: before that a stream of clicks costs nothing. Whether clicks converted is told
    from the first conversion on; from the batch after it on, if lists are shown, clicks are kept
    as they were scored, so that conversions are learned, and judged by what was predicted. What
    still waits when the stream ends is neither judged nor learned; a resumed run goes on with it.

    Everything is bounded by `max_pending` (see `PendingLists`, `Followups`, `HeldClicks` and
    `ClosedRequests` for the bytes): at the default, with lists of 10 items, contexts of 50 and
    two learners that estimate clicks, about 150 MB, and up to four times that before what is
    gone is cleared away.

    Parameters
    ----------
    catalogue, histories
        What items and users are known by.
    config : JoinerConfig, optional
    learners : sequence of str, optional
        Whose probabilities are kept until lists, and clicks on them, mature.
    inputs : InputsConfig, optional
        What is kept of who asked for a list.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        histories: Histories,
        config: JoinerConfig = _DEFAULTS,
        learners: Sequence[str] = (),
        inputs: InputsConfig = _NOTHING,
    ) -> None:
        self._catalogue = catalogue
        self._histories = histories
        self._is_eager = config.labels == "eager"
        self._matching = config.match_without_request
        self._names_requests = False  # whether any click has ever named one
        self._deferral = Deferral()
        self._lists = PendingLists(config.attribution_window, config.max_pending, learners, inputs)
        self._closed = ClosedRequests(config.max_pending)
        self._held = HeldClicks(config.early_wait, config.max_pending)
        self._followups = Followups(config.conversion_window, config.max_pending)
        self._scored = ScoredClicks(config.conversion_window, config.max_pending, learners, inputs)
        self._attribution_ms = min(config.attribution_window, config.conversion_window)
        self._intake = Intake(
            self._lists, self._closed, self._held, config.attribution_window, self._was_clicked
        )
        self._counts = dict.fromkeys(COUNTS, 0)
        self._seq = -1
        # Whether the stream has anything that clicks could answer or be followed by.
        self._remembers_clicks = False
        self._has_conversions = False
        self._tells_conversions = False  # of each batch anew
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
        is_sample_B = ~is_seen(batch, queries, answer_B)
        lessons = self._lessons(batch, queries, user_B, answer_B)
        # Where no list was shown, nobody will ask how likely a conversion is.
        self._tells_conversions = self._has_conversions and self._counts["impressions"] > 0
        first = self._lists.next_index
        looking_N = self._take_in(batch, queries, predictions)
        answered = self._answer(batch, queries, user_B, answer_B)
        taught = self._taught_early(queries, first, answered.matches) if self._is_eager else ()
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
            conversions=answered.conversions,
            conversion_lessons=answered.lessons,
            predicted_conversions=answered.predicted,
            join_counts=self._join_counts(),
            user_B=user_B,
            looking_N=looking_N,
            opinions=answered.opinions,
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
        self._scored.follow(changes, self._seq)

    def state_dict(self) -> State:
        return {
            "schema_version": 3,
            "deferral": self._deferral.state_dict(),
            "lists": self._lists.state_dict(),
            "closed": self._closed.state_dict(),
            "held": self._held.state_dict(),
            "intake": self._intake.state_dict(),
            "followups": self._followups.state_dict(),
            "scored": self._scored.state_dict(),
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
        self._scored.load_state_dict(state["scored"])
        self._counts = dict.fromkeys(COUNTS, 0) | state["counts"]
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
        now = lessons_of(queries, answer_B, user_B, np.flatnonzero(answer_B >= 0))
        n_deferred, late = len(self._deferral), self._deferral.take(self._catalogue)
        self._counts["unlearned_clicks"] += n_deferred - len(late)
        lessons = joined(late, now)
        index_D = np.flatnonzero(answer_B < 0)
        self._deferral.put(
            lessons_of(queries, np.full(len(queries), -1, np.int32), user_B, index_D),
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
        champion = next(iter(predictions.values()), None)
        choice = None if champion is None else champion.choice
        self._lists.targets.put(first, lists.propensity_S, choice, lists.given_of)
        self._counts["impressions"] += len(lists)
        self._counts["shown_items"] += len(lists.item_S)
        return user_N

    def _answer(self, batch: Batch, queries: Queries, user_B: Int64s, answer_B: Int32s) -> Answered:
        """The batch's clicks meet lists, its conversions and feedback meet clicks."""
        clicks = batch.clicks
        sequels = [e for e in batch.others if isinstance(e, Conversion | Feedback)]
        self._remembers_clicks = self._remembers_clicks or bool(sequels)
        if not self._remembers_clicks:  # no list has ever come
            n_unnamed = len(clicks) if clicks.request_B is None else clicks.request_B.count(None)
            self._counts["organic_clicks"] += n_unnamed
            self._counts["orphan_clicks"] += len(clicks) - n_unnamed
            return Answered()
        item_B = self._item_hashes.of(clicks.item_B, answer_B)
        self._names_requests = self._names_requests or clicks.request_B is not None
        matches = match(self._lists, self._closed, clicks, user_B, item_B, self._matches_unnamed)
        for verdict, count in matches.counts().items():
            self._counts[verdict] += count
        is_ahead = clicks.ts_B[matches.is_joined_B] < self._lists.ts_of(matches.joined)
        self._counts["clicks_before_impression"] += int(np.count_nonzero(is_ahead))
        number_B, taught = np.full(len(clicks), -1), tuple[ConversionLessons, ...]()
        if self._tells_conversions:
            number_B, taught = self._scored.add(
                queries, answer_B, user_B, matches, self._lists, batch.seq
            )
        self._followups.add(user_B, item_B, clicks.ts_B, clicks.request_B, number_B)
        sequels_joined = self._join_sequels(sequels)
        taught += self._scored.convert(sequels_joined.converted)
        conversions, number_M, n_early = self._followups.mature(batch.watermark_ms)
        self._counts["conversions_matured_early"] += n_early
        predicted = self._scored.take_mature(number_M, conversions.ts_N)
        # Where conversions are not recorded, nothing is known of those of a click.
        told = conversions if self._has_conversions else no_conversions()
        return Answered(matches, told, taught, predicted, sequels_joined.opinions)

    def _join_sequels(self, sequels: Sequence[Conversion | Feedback]) -> Joined:
        """Count what follows clicks."""
        if not sequels:
            return Joined()
        user_K = self._histories.user_hashes([str(event.user) for event in sequels])
        items = [str(event.item) for event in sequels]
        item_K = self._item_hashes.of(items, self._catalogue.rows(items))
        ts_K = np.array([event.ts for event in sequels], np.int64)
        is_shown_K = self._lists.latest_showing(user_K, item_K, ts_K) >= 0
        found = join_sequels(sequels, pair_keys(user_K, item_K), is_shown_K, self._followups)
        for name, count in found.counts.items():
            self._counts[name] += count
        self._has_conversions |= bool(found.converted)
        return found

    def _taught_early(
        self, queries: Queries, first: int, matches: Matches | None
    ) -> tuple[ShownLessons, ...]:
        """The batch's lists as clicked so far, and the clicks on lists of batches before."""
        taught = []
        if queries.shown is not None and len(queries.shown):
            clicked = self._lists.clicked_from(first)
            taught.append(
                ShownLessons(queries.shown, clicked, True, False, self._tells_conversions)
            )
        if matches is not None and len(index_K := matches.joined[matches.joined < first]):
            shown = self._lists.items_as_scored(index_K)
            clicked = np.ones(len(index_K), np.bool_)
            taught.append(ShownLessons(shown, clicked, False, True, self._tells_conversions))
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
        taught = tuple[ShownLessons, ...]()
        if not self._is_eager:
            shown, is_clicked_S = self._lists.as_scored(place_M)
            taught = (ShownLessons(shown, is_clicked_S, False, False, self._tells_conversions),)
        self._lists.tidy()
        return matured, taught

    def _join_counts(self) -> dict[str, int]:
        left_out = self._lists.targets.n_left_out
        return {
            **self._counts,
            **self._intake.counts,
            "pending_impressions": len(self._lists),
            "held_clicks": len(self._held),
            **({"targets_left_out": left_out} if left_out else {}),
        }
