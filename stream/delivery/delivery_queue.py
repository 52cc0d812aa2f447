"""What one destination is still to be told: in order, on disk, bounded.

A transition is in the queue when `put` returns, whatever happens to the process then, and stays
until it was accepted or given up. A notice that is put again, by a loop that repeats what came
after a checkpoint, changes nothing: notices come in the order of their batches, and the queue
knows the last one.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from stream.delivery.queue_file import Done, Gone, Head, Kept, Line, Put, QueueFile, encoded
from stream.delivery.transitions import Transition
from stream.errors import SinkError

LOGGER = logging.getLogger("freshrank.delivery")

_SMALLEST_REWRITE_BYTES = 64 << 10

# What goes on until something else is told.
_LASTING = ("pending", "firing")

_TOLD_TO_ALL = ("firing", "resolved")

Wants = Callable[[Transition, str | None], bool]
"""Whether a transition is told, after the state that its destination was last told."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much waits at most, and how long what is over is remembered as such."""

    queue_bytes: int = 8 << 20
    kept_after_end_ms: int = 0


class DeliveryQueue:
    """Transitions between whoever tells them and the thread that delivers them.

    When it is full, what says least goes first: what is not yet, or never was, an alert; of an
    alert that is told of again later on, the oldest transition together with its end or beginning,
    so that what is left still adds up; then the oldest event; then the oldest of all. The first of
    the queue may be on its way, and stays.

    Parameters
    ----------
    path : Path
        The file; what waits there is gone on with.
    run_id : str
        The run whose transitions these are.
    wants : callable
        What is told.
    bounds : Bounds
        How much is kept.

    Raises
    ------
    SinkError
        From every method: if the file cannot be used, or is another run's.
    """

    def __init__(self, path: Path, run_id: str, wants: Wants, bounds: Bounds = Bounds()) -> None:
        self._run_id = run_id
        self._wants = wants
        self._bounds = bounds
        self._changed = threading.Condition()
        self._file = QueueFile(path)
        self._waiting: dict[int, Put] = {}
        self._n_bytes: dict[int, int] = {}
        self._standing: dict[str, Kept] = {}
        self._seq, self._names = -1, set[str]()
        self._next_number = self._n_dropped = 0
        self._rewrite_at_bytes = 0
        self._is_open = True
        with self._changed:
            self._go_on()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def n_dropped(self) -> int:
        """Transitions for which there was no room, since the run began."""
        return self._n_dropped

    @property
    def oldest_ms(self) -> int | None:
        """When the first that waits was told; None where nothing waits."""
        with self._changed:
            first = next(iter(self._waiting.values()), None)
        return None if first is None else first.transition.told_ms

    def put(self, told: Transition, seq: int | None = None, name: str = "") -> bool:
        """Add a transition, unless it was added before or is not wanted.

        `seq` and `name` are those of its notice; what has none is never repeated.
        """
        with self._changed:
            if not self._is_open or (seq is not None and self._has_taken(seq, name)):
                return False
            before = self._last(told.key)
            if not self._wants(told, None if before is None else before.state):
                return False
            if before is not None and before.state == "firing" and told.state != "pending":
                # An alert is known by its labels: those it began with are those it ends with.
                told = replace(told, since_ms=before.since_ms, labels=before.labels)
            put = Put(self._next_number, told, seq, name)
            text = encoded(put)
            dropped = self._make_room(len(text))
            self._file.append(*(encoded(Gone(number, is_dropped=True)) for number in dropped), text)
            self._apply(put, len(text))
            self._rewrite_if_long()
            self._changed.notify_all()
            return True

    def first(self) -> tuple[int, Transition] | None:
        """The next to be delivered."""
        with self._changed:
            for number, put in self._waiting.items():
                return number, put.transition
        return None

    def wait(self, timeout_s: float) -> None:
        """Return when something waits, after so long, or when somebody wakes."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_s)

    def wake(self) -> None:
        """Have whoever waits look around."""
        with self._changed:
            self._changed.notify_all()

    def accepted(self, number: int, at_ms: int) -> None:
        """The destination has taken it."""
        self._note(Done(number, at_ms))

    def given_up(self, number: int) -> None:
        """The destination will never take it."""
        self._note(Gone(number))

    def standing(self, now_ms: int) -> list[Transition]:
        """What the destination was told last of each alert that fires, or has lately ended."""
        with self._changed:
            kept = {key: one for key, one in self._standing.items() if self._is_kept(one, now_ms)}
            self._standing = kept
            return [one.transition for one in kept.values()]

    def open_alerts(self) -> list[Transition]:
        """What the destination will have been told to fire, and not yet to be over."""
        with self._changed:
            last = {key: one.transition for key, one in self._standing.items()}
            last |= {put.transition.key: put.transition for put in self._waiting.values()}
        return [told for told in last.values() if told.state == "firing" and not told.is_event]

    def flush(self) -> None:
        """Return when all that was put is on disk."""
        with self._changed:
            self._file.sync()

    def close(self) -> None:
        """Write what is not on disk yet, and let go of the file."""
        with self._changed:
            self._is_open = False
            self._file.sync()
            self._file.close()

    def _has_taken(self, seq: int, name: str) -> bool:
        return seq < self._seq or (seq == self._seq and name in self._names)

    def _last(self, key: str) -> Transition | None:
        for put in reversed(self._waiting.values()):
            if put.transition.key == key:
                return put.transition
        standing = self._standing.get(key)
        return None if standing is None else standing.transition

    def _note(self, line: Done | Gone) -> None:
        with self._changed:
            if not self._is_open or line.number not in self._waiting:
                return
            text = encoded(line)
            self._apply(line, len(text))
            self._file.append(text)
            self._rewrite_if_long()

    def _apply(self, line: Line, n_bytes: int) -> None:
        """What a line changes, told now or read from the file."""
        match line:
            case Put():
                self._waiting[line.number] = line
                self._n_bytes[line.number] = n_bytes
                self._next_number = line.number + 1
                if line.seq is not None:
                    names = self._names if line.seq == self._seq else set[str]()
                    self._seq, self._names = line.seq, names | {line.name}
            case Done() | Gone():
                put = self._waiting.pop(line.number, None)
                self._n_bytes.pop(line.number, None)
                if isinstance(line, Gone):
                    self._n_dropped += line.is_dropped
                elif put is not None:
                    self._stand(Kept(put.transition, line.at_ms))
            case Kept():
                self._stand(line)
            case Head():
                self._seq, self._names = line.seq, set(line.names)
                self._next_number = line.next_number
                self._n_dropped = line.n_dropped

    def _stand(self, kept: Kept) -> None:
        if self._is_kept(kept, kept.at_ms):
            self._standing[kept.transition.key] = kept
        else:
            self._standing.pop(kept.transition.key, None)

    def _is_kept(self, kept: Kept, now_ms: int) -> bool:
        told = kept.transition
        if told.state in _LASTING and not told.is_event:
            return True
        return now_ms - kept.at_ms < self._bounds.kept_after_end_ms

    def _make_room(self, n_bytes: int) -> list[int]:
        """Drop what says least until so much fits; the numbers of what was dropped."""
        dropped: list[int] = []
        while len(self._waiting) > 1 and (
            sum(self._n_bytes.values()) + n_bytes > self._bounds.queue_bytes
        ):
            for number in self._least_telling():
                self._apply(Gone(number, is_dropped=True), 0)
                dropped.append(number)
        return dropped

    def _least_telling(self) -> list[int]:
        behind_first = list(self._waiting.items())[1:]
        for number, put in behind_first:
            if put.transition.state not in _TOLD_TO_ALL:
                return [number]
        following: dict[str, int] = {}
        superseded: tuple[int, int] | None = None
        for number, put in reversed(behind_first):
            key = put.transition.key
            if key in following:
                superseded = (number, following[key])
            following[key] = number
        if superseded is not None:
            number, later = superseded
            is_same = (
                self._waiting[number].transition.state == self._waiting[later].transition.state
            )
            return [number] if is_same else [number, later]
        events = (number for number, put in behind_first if put.transition.is_event)
        return [next(events, behind_first[0][0])]

    def _rewrite_if_long(self) -> None:
        if self._file.n_bytes > self._rewrite_at_bytes:
            self._rewrite()

    def _rewrite(self) -> None:
        head = Head(
            self._run_id, self._seq, sorted(self._names), self._next_number, self._n_dropped
        )
        self._file.replace([head, *self._standing.values(), *self._waiting.values()])
        self._rewrite_at_bytes = max(_SMALLEST_REWRITE_BYTES, 2 * self._file.n_bytes)

    def _go_on(self) -> None:
        """Take up what an earlier process left."""
        lines, n_damaged = self._file.read()
        for line in lines:
            if isinstance(line, Head) and line.run_id != self._run_id:
                raise SinkError(
                    f"{self._file.path}: holds what run {line.run_id} had to deliver, and this is "
                    f"run {self._run_id}; move the file away"
                )
            self._apply(line, len(encoded(line)) if isinstance(line, Put) else 0)
        if n_damaged:
            LOGGER.error(
                "%s: %d lines are damaged and passed by; the file is kept as %s, and every notice "
                "stands in alerts.jsonl",
                self._file.path,
                n_damaged,
                self._file.set_aside().name,
            )
        self._rewrite()
