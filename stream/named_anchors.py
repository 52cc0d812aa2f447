"""The anchors that firing notices name: what they were computed from stays for a while."""

from stream.checkpoint import CheckpointConfig, Spared
from stream.values import State


class NamedAnchors:
    """Which anchors the latest firing notices need to be computed again, the latest one last.

    A notice needs the last anchor before it, or the run's beginning, and those that were rolled
    back to since. At most `keep_named` are listed, each until `keep_named_for` of event time
    after the last notice that needs it.

    Parameters
    ----------
    config : CheckpointConfig
        How many, and for how long.

    Examples
    --------
    >>> named = NamedAnchors(CheckpointConfig(keep_named=1, keep_named_for=60_000))
    >>> named.need({"anchor-7": 7}, last_seq=9, now_ms=1_000)
    >>> named.spared(60_999), named.spared(61_000)
    ((Spared(anchor='anchor-7', seqs=range(7, 10)),), ())
    """

    def __init__(self, config: CheckpointConfig) -> None:
        self._at_most = config.keep_named
        self._for_ms = config.keep_named_for
        # By name, empty for the run's beginning: first and last batch, and when it was needed.
        self._needed: dict[str, tuple[int, int, int]] = {}

    def need(self, first_seq_of: dict[str | None, int], last_seq: int, now_ms: int) -> None:
        """A notice of batch `last_seq` needs anchors, which hold all before their first batch."""
        for anchor, first_seq in first_seq_of.items():
            self._needed.pop(anchor or "", None)
            self._needed[anchor or ""] = first_seq, last_seq, now_ms
        excess = max(0, len(self._needed) - self._at_most)
        for name in list(self._needed)[:excess]:
            del self._needed[name]

    def spared(self, now_ms: int) -> tuple[Spared, ...]:
        """What is to stay at this event time."""
        return tuple(
            Spared(name or None, range(first_seq, last_seq + 1))
            for name, (first_seq, last_seq, needed_ms) in self._needed.items()
            if now_ms - needed_ms < self._for_ms
        )

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "needed": [[name, *told] for name, told in self._needed.items()],
        }

    def load_state_dict(self, state: State) -> None:
        self._needed = {name: (first, last, ms) for name, first, last, ms in state["needed"]}
