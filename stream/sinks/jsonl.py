"""Records to files, one JSON object a line.

The files need no keys: on a resume they are cut back to where the checkpoint knew them, and what
is written again lands in the same place. Where a segment ends depends on the records alone, and
so does what is dropped: a resumed run leaves the files of an unbroken one.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import msgspec

from stream.durable import sync_folder
from stream.errors import SinkError
from stream.sinks.segments import FilesConfig, Segments
from stream.values import Record, State

# Past this much, lines are handed to the system before the next flush.
_BUFFER_BYTES = 1 << 20


class JsonlSink:
    r"""A file of records, keys in the order given; or a bounded number of them.

    The file is opened by the first write-out: emptied on a fresh start, cut back by
    `load_state_dict` on a resume. Non-finite numbers are written as null.

    With `files` a full file is put away under its number and the oldest are dropped
    (see `stream.sinks.segments`). No checkpoint depends on what is dropped: a run that resumes
    within a dropped segment writes again from the oldest segment that is left, once it has come
    there, and not what was dropped.

    Parameters
    ----------
    path : Path
        Its folder is made if it is missing.
    encode : callable, optional
        A record as one line, without its end; by default JSON with the keys in the order given.
    files : FilesConfig, optional
        How long files grow; without it there is one, and it takes everything.

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
    {'schema_version': 2, 'segment': 0, 'bytes': 42, 'records': 1}
    >>> sink.close()
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[Record], bytes] = msgspec.json.encode,
        files: FilesConfig | None = None,
    ) -> None:
        self._path = path
        self._encode = encode
        self._files = files
        self._segments = Segments(path)
        self._file: FileIO | None = None
        self._buffer = bytearray()
        self._is_fresh = True
        self._oldest_left = 0  # segments below it were dropped, and are not written again
        self._segment = 0
        self._written_bytes = 0  # of this segment
        self._written_records = 0  # of all
        self._flushed = (0, 0, 0)

    def write(self, record: Record) -> None:
        line = self._encode(record)
        if self._is_full(len(line) + 1):
            self._begin_next()
        if self._is_dropped:
            self._written_bytes += len(line) + 1
        else:
            self._buffer += line
            self._buffer += b"\n"
        self._written_records += 1
        if len(self._buffer) >= _BUFFER_BYTES:
            self._write_out()

    def flush(self) -> None:
        if not self._is_dropped:
            self._write_to_disk()
        self._flushed = (self._segment, self._written_bytes, self._written_records)

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
        segment, n_bytes, n_records = self._flushed
        return {"schema_version": 2, "segment": segment, "bytes": n_bytes, "records": n_records}

    def load_state_dict(self, state: State) -> None:
        # Before there were segments, everything was in what is now the first one.
        self._segment = state["segment"] if state["schema_version"] > 1 else 0
        self._written_bytes, self._written_records = state["bytes"], state["records"]
        self._flushed = (self._segment, self._written_bytes, self._written_records)
        self._is_fresh = False
        self._buffer.clear()
        self._go_on()

    @property
    def _is_dropped(self) -> bool:
        return self._segment < self._oldest_left

    def _is_full(self, line_bytes: int) -> bool:
        """Whether the segment has no room for one more line; a first one it takes in any case."""
        n_bytes = self._written_bytes + len(self._buffer)
        limit = self._files
        return limit is not None and n_bytes > 0 and n_bytes + line_bytes > limit.segment_bytes

    def _begin_next(self) -> None:
        """Go on in the next segment; the one before is whole and on disk."""
        if not self._is_dropped:
            file = self._write_to_disk()
            with self._explained("cannot be put away"):
                self._segments.put_away(self._segment)
            file.close()
            self._file = None
        self._segment += 1
        self._written_bytes = 0
        if not self._is_dropped:
            self._go_on()
            if self._files is not None:
                with self._explained("is written, but files before it cannot be dropped"):
                    self._segments.drop_oldest(self._files)

    def _write_to_disk(self) -> FileIO:
        self._write_out()
        file = self._opened()
        with self._explained("cannot be written"):
            os.fsync(file)
        return file

    def _write_out(self) -> None:
        file = self._opened()
        with self._explained("cannot be written"):
            while self._buffer:
                n_bytes = file.write(self._buffer)
                del self._buffer[:n_bytes]
                self._written_bytes += n_bytes

    def _opened(self) -> FileIO:
        """The file, open at the byte to go on from; nothing follows that byte."""
        if self._file is None:
            self._go_on()
        assert self._file is not None, "what was dropped is never written"
        return self._file

    def _go_on(self) -> None:
        """Open the segment to go on in, unless it was dropped."""
        with self._explained("cannot be opened"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._is_fresh:
                self._segments.clear()
                self._is_fresh = False
            self._oldest_left = self._segments.go_back_to(self._segment)
            if self._is_dropped:
                if self._files is not None:
                    return
                # Nothing ends this segment: the whole rest is for the one that is left.
                self._segment = self._segments.go_back_to(self._oldest_left)
                self._written_bytes = 0
            file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        try:
            with self._explained("cannot be cut back"):
                self._cut_back(file)
                sync_folder(self._path.parent)
        except SinkError:
            file.close()
            raise
        self._file = file

    def _cut_back(self, file: FileIO) -> None:
        found_bytes = file.seek(0, os.SEEK_END)
        if found_bytes < self._written_bytes:
            raise SinkError(
                f"{self._path} has {found_bytes} bytes, the checkpoint knows "
                f"{self._written_bytes}: it was cut or replaced since; put it back, or start "
                "afresh in another folder"
            )
        # Another file under this name would hardly have a line end right there.
        if self._written_bytes and os.pread(file.fileno(), 1, self._written_bytes - 1) != b"\n":
            raise SinkError(
                f"{self._path} has no line that ends at byte {self._written_bytes}, where the "
                "checkpoint knows one: it was replaced since; put it back, or start afresh in "
                "another folder"
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
