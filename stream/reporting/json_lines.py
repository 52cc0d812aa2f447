"""JSON lines as far as they can be read: a run that still goes on ends in half a line."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from stream.errors import UsageError
from stream.values import Record


class JsonLines:
    """The records of a file, one after the other; what cannot be read is counted, not raised.

    The counts are complete once the file was read to its end.

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

    def __iter__(self) -> Iterator[Record]:
        decoder = msgspec.json.Decoder()
        n_bytes = 0
        try:
            with self._path.open("rb") as file:
                for line in file:
                    n_bytes += len(line)
                    if self._max_bytes is not None and n_bytes > self._max_bytes:
                        self.is_read_in_part = True
                        return
                    record = self._decoded(decoder, line)
                    if record is not None:
                        yield record
        except FileNotFoundError:
            return
        except OSError as err:
            raise UsageError(f"{self._path}: cannot be read: {err.strerror}") from err

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
