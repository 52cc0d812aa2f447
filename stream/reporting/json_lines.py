"""JSON lines as far as they can be read: a run that still goes on ends in half a line."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path

import msgspec

from stream.errors import UsageError
from stream.sinks.segments import full_segments
from stream.values import Record


class JsonLines:
    """The records of a file, one after the other; what cannot be read is counted, not raised.

    The file's full segments are read before it, oldest first, and each record once, even if the
    writer goes on meanwhile. The counts are complete once all was read to its end.

    Parameters
    ----------
    path : Path
        A file that need not exist: a missing one holds no record.
    max_bytes : int, optional
        How much to read at most; whole lines only.

    Attributes
    ----------
    n_bad : int
        Lines that are no JSON object, the unfinished last one aside.
    is_unfinished : bool
        Whether the last line was cut in the middle.
    is_read_in_part : bool
        Whether `max_bytes` left lines unread.
    n_dropped : int
        Segments that were there before the oldest that is left.
    first_seq : int, optional
        The batch of the first record that is left.

    Examples
    --------
    >>> list(JsonLines(Path("no-such-file.jsonl")))
    []
    """

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.n_bad = 0
        self.is_unfinished = False
        self.is_read_in_part = False
        self.n_dropped = 0
        self.first_seq: int | None = None

    def __iter__(self) -> Iterator[Record]:
        decoder = msgspec.json.Decoder()
        n_bytes = 0
        try:
            for line in self._lines():
                n_bytes += len(line)
                if self._max_bytes is not None and n_bytes > self._max_bytes:
                    self.is_read_in_part = True
                    return
                record = self._decoded(decoder, line)
                if record is None:
                    continue
                if self.first_seq is None and isinstance(seq := record.get("seq"), int):
                    self.first_seq = seq
                yield record
        except OSError as err:
            raise UsageError(f"{self._path}: cannot be read: {err.strerror}") from err

    def _lines(self) -> Iterator[bytes]:
        has_lines = False
        with ExitStack() as stack:
            # Opened before the others: put away meanwhile, it is recognised among them.
            newest = _opened(self._path, stack)
            for number, path in full_segments(self._path):
                with ExitStack() as reading:
                    file = _opened(path, reading)
                    if file and newest and os.path.sameopenfile(file.fileno(), newest.fileno()):
                        break
                    if not has_lines:
                        has_lines = file is not None and os.fstat(file.fileno()).st_size > 0
                        self.n_dropped = number if has_lines else number + 1
                    yield from file or ()
            yield from newest or ()

    def _decoded(self, decoder: "msgspec.json.Decoder[object]", line: bytes) -> Record | None:
        if not line.strip():
            return None
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            record = None
        if isinstance(record, dict):
            return record
        if line.endswith(b"\n"):
            self.n_bad += 1
        else:
            self.is_unfinished = True
        return None


def _opened(path: Path, stack: ExitStack) -> BufferedReader | None:
    """The file, None if it is not there: dropped meanwhile, or not begun yet."""
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None
