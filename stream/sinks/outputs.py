"""Every output of the loop, written and flushed together."""

import re
from collections import Counter

from stream.protocols import Sink
from stream.values import Batch, DeadLetter, Record, State

# Reasons are free text from a decoder: the counts must not grow with them.
_MAX_REASONS = 100
_VALUES = re.compile(r"'[^']*'|0x[0-9a-f]+|\d+")


class Outputs:
    """Sends metrics to one sink and dead letters to another, and counts the dead letters.

    They are counted by reason, the values in it left out. At most 100 kinds of reason are counted
    apart; further ones count as `other`.
    """

    def __init__(self, metrics: Sink, dead_letters: Sink) -> None:
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._n_by_reason: Counter[str] = Counter()

    def write(self, batch: Batch, metrics: list[Record]) -> None:
        for record in metrics:
            self._metrics.write(record)
        for number, letter in enumerate(batch.dead_letters):
            self._dead_letters.write(_record(batch.seq, number, letter))
            kind = _VALUES.sub("…", letter.reason)
            known = kind in self._n_by_reason or len(self._n_by_reason) < _MAX_REASONS
            self._n_by_reason[kind if known else "other"] += 1

    @property
    def dead_letter_counts(self) -> dict[str, int]:
        """Dead letters by reason, the most frequent first."""
        return dict(self._n_by_reason.most_common())

    def flush(self) -> None:
        self._metrics.flush()
        self._dead_letters.flush()

    def close(self) -> None:
        try:
            self._metrics.close()
        finally:
            self._dead_letters.close()

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "metrics": self._metrics.state_dict(),
            "dead_letters": self._dead_letters.state_dict(),
            "n_by_reason": dict(self._n_by_reason),
        }

    def load_state_dict(self, state: State) -> None:
        self._metrics.load_state_dict(state["metrics"])
        self._dead_letters.load_state_dict(state["dead_letters"])
        self._n_by_reason = Counter(state["n_by_reason"])


def _record(seq: int, number: int, letter: DeadLetter) -> Record:
    return {
        "seq": seq,
        "name": f"dead_letter-{number}",
        "origin": letter.origin,
        "reason": letter.reason,
        "raw": letter.raw.decode("utf-8", "backslashreplace"),
    }
