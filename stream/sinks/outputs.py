"""Every output of the loop, written and flushed together."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from stream.notices import Notice
from stream.protocols import Sink
from stream.values import Batch, DeadLetter, Record, State

# Reasons are free text from a decoder: the counts must not grow with them.
_MAX_REASONS = 100
_VALUES = re.compile(r"'[^']*'|0x[0-9a-f]+|\d+")


class Teller(Protocol):
    """Tells people of notices; it must know by itself what it was given before a crash."""

    def write(self, record: Record) -> None: ...

    def flush(self) -> None: ...


class Outputs:
    """Sends metrics, alerts and dead letters to a sink each, and counts the dead letters.

    A teller is handed the notices too, once the file has them. It is no part of the state.

    They are counted by reason, the values in it left out. At most 100 kinds of reason are counted
    apart; further ones count as `other`.
    """

    def __init__(self, metrics: Sink, alerts: Sink, dead_letters: Sink) -> None:
        self._sinks = {"metrics": metrics, "alerts": alerts, "dead_letters": dead_letters}
        self._n_by_reason: Counter[str] = Counter()
        self._teller: Teller | None = None

    def tell(self, teller: Teller) -> None:
        """Hand notices to a teller too, from now on."""
        self._teller = teller

    def write(
        self,
        batch: Batch,
        metrics: Sequence[Record],
        notices: Sequence[Notice] = (),
        reactions: Sequence[Record] = (),
    ) -> None:
        for record in metrics:
            self._sinks["metrics"].write(record)
        for record in (*(notice.record for notice in notices), *reactions):
            self._sinks["alerts"].write(record)
        if self._teller is not None:
            for notice in notices:
                self._teller.write(notice.record)
        for number, letter in enumerate(batch.dead_letters):
            self._sinks["dead_letters"].write(_record(batch.seq, number, letter))
            kind = _VALUES.sub("…", letter.reason)
            known = kind in self._n_by_reason or len(self._n_by_reason) < _MAX_REASONS
            self._n_by_reason[kind if known else "other"] += 1

    @property
    def dead_letter_counts(self) -> dict[str, int]:
        """Dead letters by reason, the most frequent first."""
        return dict(self._n_by_reason.most_common())

    def flush(self) -> None:
        for sink in self._sinks.values():
            sink.flush()
        if self._teller is not None:
            self._teller.flush()

    def close(self) -> None:
        with ExitStack() as closing:  # each is closed, whatever another one raises
            for sink in self._sinks.values():
                closing.callback(sink.close)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "sinks": {name: sink.state_dict() for name, sink in self._sinks.items()},
            "n_by_reason": dict(self._n_by_reason),
        }

    def load_state_dict(self, state: State) -> None:
        for name, sink in self._sinks.items():
            sink.load_state_dict(state["sinks"][name])
        self._n_by_reason = Counter(state["n_by_reason"])


def _record(seq: int, number: int, letter: DeadLetter) -> Record:
    return {
        "seq": seq,
        "name": f"dead_letter-{number}",
        "origin": letter.origin,
        "reason": letter.reason,
        "raw": letter.raw,
    }
