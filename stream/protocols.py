"""The contracts: small protocols, no base classes, a conformance suite for each."""

from collections.abc import Iterator
from typing import Protocol

from stream.values import (
    Batch,
    Changes,
    Float64s,
    Outcomes,
    Position,
    Predictions,
    Queries,
    Reading,
    Record,
    State,
)


class Stateful(Protocol):
    """Whatever must survive a crash.

    `state_dict` may share memory with the object: who wants to keep it, copies it. A fresh
    object given a state behaves as the one that wrote it, bit for bit.
    """

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Source(Protocol):
    """Events in order.

    A file is cut into batches by count alone. A live source also hands out empty batches, where
    time passed without a record, and None now and then while there is nothing to say, so that
    whoever reads it can look after other things. `batches(position)` goes on exactly where a
    batch with that `end` stopped, with `next_seq` as the number of its first batch and
    `watermark_ms` as the time so far. `acknowledge` is advisory: nothing durable may depend on it.
    """

    def batches(
        self, start: Position | None, next_seq: int = 0, watermark_ms: int = 0
    ) -> Iterator[Batch | None]: ...

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
    `follow` comes after every batch: what items are, and rows that mean others from now on.
    `metrics` is the present state, without side effect; `reading` one figure of it: `over` is
    total, events, time or faded, and `policy` asks for a click metric of that policy's lists
    alone. None without a sample. `lead` is how far the champion is ahead of a shadow over a
    window, above 0 where it is better, of losses too; `leads` the same by sample, of those that
    the last `update` judged, oldest first; none after a state was loaded.
    """

    def update(self, outcomes: Outcomes) -> list[Record]: ...

    def follow(self, changes: Changes) -> None: ...

    def metrics(self) -> Record: ...

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None: ...

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None: ...

    def leads(self, shadow: str, metric: str) -> Float64s: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class Sink(Protocol):
    """Where records go.

    A record is keyed by its `seq` and `name`: written again after a resume, it changes nothing.
    After `flush` returns, what was written is on disk, or in `state_dict`. `close` may never run.
    """

    def write(self, record: Record) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...
