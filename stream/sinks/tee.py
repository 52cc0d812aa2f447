"""One sink out of several."""

from contextlib import ExitStack

from stream.protocols import Sink
from stream.values import Record, State


class Tee:
    """Hands every record to each of its sinks, in the order given.

    The state holds each sink's own by name. On a resume a sink without a state starts fresh: it
    was switched on since. A state without a sink is kept: it was switched off, and may be switched
    on again.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from stream.sinks.jsonl import JsonlSink
    >>> folder = Path(tempfile.mkdtemp())
    >>> tee = Tee(file=JsonlSink(folder / "a.jsonl"), copy=JsonlSink(folder / "b.jsonl"))
    >>> tee.write({"seq": 4, "name": "recall@20", "total": 0.25})
    >>> tee.close()
    >>> (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()
    True
    """

    def __init__(self, **sinks: Sink) -> None:
        self._sinks = sinks
        self._state_of_others: State = {}

    def write(self, record: Record) -> None:
        for sink in self._sinks.values():
            sink.write(record)

    def flush(self) -> None:
        for sink in self._sinks.values():
            sink.flush()

    def close(self) -> None:
        with ExitStack() as closing:  # each is closed, whatever another one raises
            for sink in reversed(self._sinks.values()):
                closing.callback(sink.close)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "sinks": self._state_of_others
            | {name: sink.state_dict() for name, sink in self._sinks.items()},
        }

    def load_state_dict(self, state: State) -> None:
        self._state_of_others = {
            name: kept for name, kept in state["sinks"].items() if name not in self._sinks
        }
        for name, sink in self._sinks.items():
            if name in state["sinks"]:
                sink.load_state_dict(state["sinks"][name])
