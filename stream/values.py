"""The values that flow through the loop.

# B queries of a batch, C distinct contexts, T history length, K list length, M lessons,
# N lists shown, S items of those lists end to end, V items of the catalogue, R recycled rows,
# F forgotten users

One way through: a `Batch` becomes `Queries` (no answer in them), `Predictions`, `Outcomes`
(predictions that met their answers), metrics and lessons. Values are frozen; their arrays are
not written to after they were handed out. An item is known by its row in the catalogue; -1 says
"not admitted".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream.asker_values import Askers
from stream.conversions import (
    ConversionLessons,
    Conversions,
    Opinions,
    PredictedConversions,
    no_conversions,
    no_opinions,
    none_predicted,
)
from stream.targets import Choice, ChoiceAsked, Targets

if TYPE_CHECKING:
    from stream.events import Event

Bools = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt32s = NDArray[np.uint32]
Float64s = NDArray[np.float64]

State = dict[str, Any]
"""Nested dicts of arrays, ints, floats, strings, bytes, None and lists of them: never a pickle."""

Position = Mapping[str, Mapping[str, int | str]]
"""The first record not read yet, one cursor for each file or partition; the fields of a cursor
are its source's own, and nobody else reads them."""

Record = dict[str, Any]
"""One JSON object on its way to a sink; `seq` and `name` key it."""

Command = Mapping[str, Any]
"""An operator's order as plain JSON: `{"alerts": ...}` puts other alert rules in force."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used.

    `origin` is `file:line` or `topic[partition]@offset`. `raw` is what came, as far as its source
    holds it: of a line of a file the beginning, of a Kafka record all of it.
    """

    origin: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks of a batch, ordered by event time; equal times keep their order of arrival.

    `session_B` is None where no click of the batch names its session, `request_B` where none
    names the request that showed its item. `origin_B` says where each came from (`file:line`),
    None where the source cannot tell. `context_B` is what requests carried, None where none did.
    """

    user_B: list[str]
    item_B: list[str]
    ts_B: Int64s
    session_B: list[str | None] | None = None
    origin_B: list[str] | None = None
    request_B: list[str | None] | None = None
    context_B: list[Mapping[str, Any] | None] | None = None

    def __len__(self) -> int:
        return len(self.user_B)


@dataclass(frozen=True, slots=True)
class Impressions:
    """Lists that were shown, ordered like the clicks.

    List n holds the items `starts[n]` up to `starts[n + 1]`, the best place first.
    `propensity_S` is how likely the policy was to show each item there, `given_of` how likely
    others would have been, by name; nan where it is not told. `policy_N` is None if not named,
    `context_N` as with clicks.
    """

    request_N: list[str]
    user_N: list[str]
    ts_N: Int64s
    starts: Int64s
    item_S: list[str]
    propensity_S: Float64s
    policy_N: list[str | None]
    origin_N: list[str] | None = None
    context_N: list[Mapping[str, Any] | None] | None = None
    given_of: Mapping[str, Float64s] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.request_N)


def no_impressions() -> Impressions:
    """No list at all."""
    return Impressions([], [], np.zeros(0, np.int64), np.zeros(1, np.int64), [], np.zeros(0), [])


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of records.

    `seq` counts batches from 0 without gaps. `n_records` counts good and bad records. `others`
    holds every event that is neither click nor impression, ordered like the clicks.
    `watermark_ms` is the event time so far: it never goes back, and events may be ahead of it.
    `end` is the first record not in the batch, however far the reader has fetched.

    What the wall clock decided of a live stream is in the batch too, so that a repeated batch is
    an equal one: `is_backlog` says that much more was waiting to be read, `commands` what an
    operator wants done after the batch.
    """

    seq: int
    n_records: int
    clicks: Clicks
    others: "tuple[Event, ...]"
    dead_letters: tuple[DeadLetter, ...]
    watermark_ms: int
    end: Position
    impressions: Impressions = field(default_factory=no_impressions)
    is_backlog: bool = False
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths, end to end: row i is `values[starts[i]:starts[i + 1]]`."""

    starts: Int64s
    values: Int32s


@dataclass(frozen=True, slots=True)
class Contexts:
    """What was known of a user at an instant: the distinct contexts of a batch.

    `history_CT` holds the catalogue rows clicked strictly before the instant, oldest first,
    left-aligned; entries past `length_C` are -1. `seen` (only when seen items are excluded)
    holds every row that must not be ranked; rows may repeat. `askers` says who asks, if declared.
    """

    history_CT: Int32s
    length_C: Int32s
    seen: Ragged | None = None
    askers: Askers | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Lists that were shown, to be told how likely a click on each item is.

    List n was shown in the context `context_of_N[n]` and holds the items `starts[n]` up to
    `starts[n + 1]`: their rows `item_S` (-1 if not admitted) and their places `position_S`, from
    1 on. No context holds a click on its own list. `choice` asks how the learner would choose.
    """

    contexts: Contexts
    context_of_N: Int32s
    starts: Int64s
    item_S: Int32s
    position_S: Int32s
    choice: ChoiceAsked | None = None

    def __len__(self) -> int:
        return len(self.context_of_N)


@dataclass(frozen=True, slots=True)
class Queries:
    """What is asked, without the answers.

    Query b ranks the rows 0 .. n_items - 1 (all live) for the context `context_of_B[b]` and
    wants the best `k`. `session_B` numbers its session; the last `session_length_B[b]` entries
    of its history belong to that session. Equal scores are ranked by `tie_hash_V`, ascending.
    `shown` holds the lists of the batch that were shown, None where there are none.
    """

    contexts: Contexts
    context_of_B: Int32s
    ts_B: Int64s
    session_B: Int64s
    session_length_B: Int32s
    n_items: int
    tie_hash_V: UInt32s
    k: int
    shown: Shown | None = None

    def __len__(self) -> int:
        return len(self.context_of_B)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a learner answers.

    `top_items_BK` are the best `k` rows for each query, best first; -1 where fewer than k can be
    ranked. `click_probability_S` is the probability of a click on each item of `Queries.shown`
    at its place, in (0, 1); `choice` answers `Shown.choice`. None from a learner that cannot tell.
    `conversion_probability_S` is the probability that a click on each of them converts, whether it
    will be clicked or not; None too while no conversion was ever told.
    """

    top_items_BK: Int32s
    click_probability_S: Float64s | None = None
    conversion_probability_S: Float64s | None = None
    choice: Choice | None = None

    @property
    def click_and_convert_probability_S(self) -> Float64s | None:
        """The probability that each item is clicked where it was shown, and the click converts."""
        if self.click_probability_S is None or self.conversion_probability_S is None:
            return None
        return self.click_probability_S * self.conversion_probability_S


@dataclass(frozen=True, slots=True)
class Lessons:
    """What learners learn: contexts as they were scored, and the row that was clicked (never -1).

    Beside the batch's own clicks these hold clicks of the batch before on items that were not
    admitted then and are now. `user_M` is a fixed 64-bit hash of the user's id.
    """

    contexts: Contexts
    context_of_M: Int32s
    target_M: Int32s
    ts_M: Int64s
    user_M: Int64s
    session_M: Int64s
    session_length_M: Int32s

    def __len__(self) -> int:
        return len(self.target_M)


@dataclass(frozen=True, slots=True)
class ShownLessons:
    """What learners learn of lists: the contexts as they were scored, and what was clicked.

    With `is_presumed` an item that is not clicked may still be: if it is, it comes a second time,
    in a list of its own, as clicked and no longer presumed: `is_repeated`. With `tells_conversions`
    conversions of what is clicked are told too, see `ConversionLessons`.
    """

    shown: Shown
    is_clicked_S: Bools
    is_presumed: bool
    is_repeated: bool = False
    tells_conversions: bool = False


@dataclass(frozen=True, slots=True)
class Matured:
    """Lists whose answers are known, as they were predicted; by (time of maturity, arrival).

    `ts_N` is the event time of maturity: when the attribution window of the list had passed.
    `probability_of` holds what each learner that estimates clicks had answered, `targets` how
    other policies would have shown the items, if any is asked about. `position_S` is the place of
    each item, from 1 on, `history_N` how many items the user's history held when the list was
    shown, `context_N` what was declared of what its request carried; None where nobody knows.
    """

    ts_N: Int64s
    policy_N: list[str | None]
    starts: Int64s
    is_clicked_S: Bools
    probability_of: Mapping[str, Float64s]
    targets: Targets | None = None
    position_S: Int32s | None = None
    history_N: Int64s | None = None
    context_N: list[Mapping[str, Any] | None] | None = None

    def __len__(self) -> int:
        return len(self.ts_N)


def none_matured() -> Matured:
    """No list at all."""
    return Matured(np.zeros(0, np.int64), [], np.zeros(1, np.int64), np.zeros(0, np.bool_), {})


def _nobody() -> Int64s:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Steps:
    """Optimizer steps since the stream began.

    Of the `n` steps `n_skipped` never reached the weights: their loss or gradient was not finite.
    """

    n: int
    n_skipped: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions that met their answers.

    `predictions` holds each learner's, by name, the champion's first. `answer_B` is the row
    clicked, -1 if it was not admitted when the batch began (a miss). `is_sample_B` is false for
    a query that is no ranking sample: with seen items excluded, a click on a seen item. `user_B`
    is a fixed 64-bit hash of who clicked, `looking_N` of whom each list of the batch was shown
    to; `context_B` is what was declared of what each click's request carried. `matured`,
    `conversions`, `predicted_conversions` and `opinions` are to be judged, `shown_lessons` and
    `conversion_lessons` to be learned. `join_counts` says, since start, how many events met what
    they answer, and why the others did not. `steps` are those that the champion took up to its
    predictions; None if it takes none. `serving` names the learner whose predictions are served.
    """

    seq: int
    watermark_ms: int
    queries: Queries
    predictions: Mapping[str, Predictions]
    answer_B: Int32s
    is_sample_B: Bools
    lessons: Lessons
    shown_lessons: tuple[ShownLessons, ...] = ()
    matured: Matured = field(default_factory=none_matured)
    conversions: Conversions = field(default_factory=no_conversions)
    conversion_lessons: tuple[ConversionLessons, ...] = ()
    predicted_conversions: PredictedConversions = field(default_factory=none_predicted)
    join_counts: Mapping[str, int] = field(default_factory=dict)
    steps: Steps | None = None
    user_B: Int64s = field(default_factory=_nobody)
    looking_N: Int64s = field(default_factory=_nobody)
    opinions: Opinions = field(default_factory=no_opinions)
    context_B: list[Mapping[str, Any] | None] | None = None
    serving: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """How the catalogue and the users moved after a batch.

    Rows `recycled_R` mean other items from now on: whoever holds anything by row drops it.
    Users `forgotten_F` (64-bit hashes) asked to be erased. `described` holds, by row, all that is
    known of an item whose metadata came or changed: title, text, category, ...
    """

    n_items: int
    recycled_R: Int32s
    forgotten_F: Int64s
    described: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of one metric over one window, and the samples (or their weight) behind it."""

    value: float
    samples: float
