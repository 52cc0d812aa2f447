"""The contracts, and the values that flow between them.

# B queries of a batch, C distinct contexts, T history length, K list length, N samples,
# M lessons, V items of the catalogue, R recycled rows, F forgotten users

One way through: a `Batch` becomes `Queries` (no answer in them), `Predictions`, `Outcomes`
(predictions that met their answers), metrics and lessons. Values are frozen; their arrays are
not written to after they were handed out. An item is known by its row in the catalogue; -1 says
"not admitted".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used.

    `origin` is `file:line` or `topic[partition]@offset`; `raw` is cut to a stated length.
    """

    origin: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks of a batch, ordered by event time; equal times keep their order of arrival.

    `session_B` is None where no click of the batch names its session. `origin_B` says where each
    came from (`file:line`), None where the source cannot tell.
    """

    user_B: list[str]
    item_B: list[str]
    ts_B: Int64s
    session_B: list[str | None] | None = None
    origin_B: list[str] | None = None

    def __len__(self) -> int:
        return len(self.user_B)


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of records.

    `seq` counts batches from 0 without gaps. `n_records` counts good and bad records. `others`
    holds every event that is not a click, ordered like the clicks. `watermark_ms` is the largest
    event time accepted so far. `end` is the first record not in the batch, however far the
    reader has fetched.
    """

    seq: int
    n_records: int
    clicks: Clicks
    others: "tuple[Event, ...]"
    dead_letters: tuple[DeadLetter, ...]
    watermark_ms: int
    end: Position


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
    holds every row that must not be ranked for the context; rows may repeat.
    """

    history_CT: Int32s
    length_C: Int32s
    seen: Ragged | None = None


@dataclass(frozen=True, slots=True)
class Queries:
    """What is asked, without the answers.

    Query b ranks the rows 0 .. n_items - 1 (all live) for the context `context_of_B[b]` and
    wants the best `k`. `session_B` numbers its session; the last `session_length_B[b]` entries
    of its history belong to that session. Equal scores are ranked by `tie_hash_V`, ascending.
    """

    contexts: Contexts
    context_of_B: Int32s
    ts_B: Int64s
    session_B: Int64s
    session_length_B: Int32s
    n_items: int
    tie_hash_V: UInt32s
    k: int

    def __len__(self) -> int:
        return len(self.context_of_B)


@dataclass(frozen=True, slots=True)
class Predictions:
    """The best `k` rows for each query, best first; -1 where fewer than k can be ranked."""

    top_items_BK: Int32s


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
class Outcomes:
    """Predictions that met their answers.

    `predictions` holds each learner's, by name, the champion's first. `answer_B` is the row
    clicked, -1 if it was not admitted when the batch began (a miss). `is_sample_B` is false for
    a query that is no ranking sample: with seen items excluded, a click on a seen item.
    """

    seq: int
    watermark_ms: int
    queries: Queries
    predictions: Mapping[str, Predictions]
    answer_B: Int32s
    is_sample_B: Bools
    lessons: Lessons


@dataclass(frozen=True, slots=True)
class Changes:
    """How the catalogue and the users moved after a batch.

    Rows `recycled_R` mean other items from now on: whoever holds anything by row drops it.
    Users `forgotten_F` (64-bit hashes) asked to be erased.
    """

    n_items: int
    recycled_R: Int32s
    forgotten_F: Int64s


class Stateful(Protocol):
    """Whatever must survive a crash.

    `state_dict` may share memory with the object: who wants to keep it, copies it. A fresh
    object given a state behaves as the one that wrote it, bit for bit.
    """

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Source(Protocol):
    """Events in order.

    A file is cut into batches by count alone; a live source also yields empty batches, so that
    time passes. `batches(position)` goes on exactly where a batch with that `end` stopped, with
    `next_seq` as the number of its first batch and `watermark_ms` as the time so far.
    `acknowledge` is advisory: nothing durable may depend on it.
    """

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch]: ...

    def acknowledge(self, end: Position) -> None: ...


class Learner(Protocol):
    """Predicts, then learns.

    `predict` changes nothing that a later call could see. `learn` may be handed no lessons at
    all. `follow` comes after every batch; rows it names start fresh.
    """

    def predict(self, queries: Queries) -> Predictions: ...

    def learn(self, outcomes: Outcomes) -> None: ...

    def follow(self, changes: Changes) -> None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Evaluator(Protocol):
    """Turns outcomes into metrics.

    `update` returns the records that are due after this batch (often none), for the sinks.
    `metrics` is the present state, without side effect.
    """

    def update(self, outcomes: Outcomes) -> list[Record]: ...

    def metrics(self) -> Record: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Sink(Protocol):
    """Where records go.

    A record is keyed by its `seq` and `name`: written again after a resume, it changes nothing.
    After `flush` returns, what was written is on disk. `close` may never run.
    """

    def write(self, record: Record) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...
