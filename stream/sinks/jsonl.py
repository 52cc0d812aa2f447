"""Records to a file, one JSON object a line.

The file itself needs no keys: on a resume it is cut back to where the checkpoint knew it, and
what is written again lands in the same place.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import msgspec

from stream.durable import sync_folder
from stream.errors import SinkError
from stream.values import Record, State

# Past this much, lines are handed to the system before the next flush.
_BUFFER_BYTES = 1 << 20


class JsonlSink:
    r"""A file of records, keys in the order given.

    The file is opened by the first write-out: emptied on a fresh start, cut back by
    `load_state_dict` on a resume. Non-finite numbers are written as null.

    Parameters
    ----------
    path : Path
        Its folder is made if it is missing.
    encode : callable, optional
        A record as one line, without its end; by default JSON with the keys in the order given.

    Raises
    ------
    SinkError
        From every method that writes: if the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> sink = JsonlSink(path)
    >>> sink.write({"seq": 4, "name": "recall@20", "total": 0.25})
    >>> sink.flush()
    >>> path.read_text()
    '{"seq":4,"name":"recall@20","total":0.25}\n'
    >>> sink.state_dict()
    {'schema_version': 1, 'bytes': 42, 'records': 1}
    >>> sink.close()
    """

    def __init__(self, path: Path, encode: Callable[[Record], bytes] = msgspec.json.encode) -> None:
        self._path = path
        self._encode = encode
        self._file: FileIO | None = None
        self._buffer = bytearray()
        self._written_bytes = 0
        self._written_records = 0
        self._flushed_bytes = 0
        self._flushed_records = 0

    def write(self, record: Record) -> None:
        self._buffer += self._encode(record)
        self._buffer += b"\n"
        self._written_records += 1
        if len(self._buffer) >= _BUFFER_BYTES:
            self._write_out()

    def flush(self) -> None:
        self._write_out()
        with self._explained("cannot be written"):
            os.fsync(self._opened())
        self._flushed_bytes = self._written_bytes
        self._flushed_records = self._written_records

    def close(self) -> None:
        if self._file is None and not self._buffer:
            return  # nothing was written: whatever lies there belongs to an earlier run
        try:
            self.flush()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "bytes": self._flushed_bytes,
            "records": self._flushed_records,
        }

    def load_state_dict(self, state: State) -> None:
        self._flushed_bytes = self._written_bytes = state["bytes"]
        self._flushed_records = self._written_records = state["records"]
        self._buffer.clear()
        self._opened()

    def _write_out(self) -> None:
        file = self._opened()
        with self._explained("cannot be written"):
            while self._buffer:
                n_bytes = file.write(self._buffer)
                del self._buffer[:n_bytes]
                self._written_bytes += n_bytes

    def _opened(self) -> FileIO:
        """The file, open at the byte to go on from; nothing follows that byte."""
        if self._file is not None:
            return self._file
        with self._explained("cannot be opened"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        try:
            with self._explained("cannot be cut back"):
                self._cut_back(file)
                sync_folder(self._path.parent)
        except SinkError:
            file.close()
            raise
        self._file = file
        return file

    def _cut_back(self, file: FileIO) -> None:
        found_bytes = file.seek(0, os.SEEK_END)
        if found_bytes < self._written_bytes:
            raise SinkError(
                f"{self._path} has {found_bytes} bytes, the checkpoint knows "
                f"{self._written_bytes}: it was cut or replaced since; put it back, or start "
                "afresh in another folder"
            )
        file.truncate(self._written_bytes)
        file.seek(self._written_bytes)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise SinkError(
                f"{self._path} {what}: {err.strerror}; make room, then go on from the "
                "newest checkpoint (a replay with --resume), or start in another folder"
            ) from err
