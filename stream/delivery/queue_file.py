"""The file of a delivery queue: lines that are added at its end, and now and then written anew.

    3f2a9c01 {"type":"put","number":7,"transition":{...}}      CRC-32 of the JSON, a space, the JSON

A killed process may leave half a line at the end, a broken disk anything. Lines that are not whole
are passed by, so that what else waits is delivered.
"""

import os
import zlib
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from stream.delivery.transitions import Transition
from stream.durable import write_durably
from stream.errors import SinkError


class Head(msgspec.Struct, frozen=True, tag="head"):
    """Whose queue it is, and which notices it has taken: those before `seq`, and `names` of it."""

    run_id: str
    seq: int
    names: list[str]
    next_number: int
    n_dropped: int = 0


class Put(msgspec.Struct, frozen=True, tag="put", omit_defaults=True):
    """A transition to be delivered; `seq` and `name` are those of its notice."""

    number: int
    transition: Transition
    seq: int | None = None
    name: str = ""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A transition was taken by its destination."""

    number: int
    at_ms: int


class Gone(msgspec.Struct, frozen=True, tag="gone", omit_defaults=True):
    """A transition will not be delivered: it was refused, or there was no room for it."""

    number: int
    is_dropped: bool = False


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """How an alert stands at its destination."""

    transition: Transition
    at_ms: int


Line = Head | Put | Done | Gone | Kept

_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def encoded(line: Line) -> bytes:
    """A line as it lies in the file."""
    text = _ENCODER.encode(line)
    return b"%08x %s\n" % (zlib.crc32(text), text)


class QueueFile:
    """Lines on disk; its caller sees to it that one thread at a time is here.

    Parameters
    ----------
    path : Path
        Its folder is made if it is missing.

    Raises
    ------
    SinkError
        From every method: if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._n_bytes = 0
        self._is_synced = True

    @property
    def n_bytes(self) -> int:
        return self._n_bytes

    def read(self) -> tuple[list[Line], int]:
        """The whole lines, and how many amid them are damaged; half a line at the end is none."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as err:
            raise self._explained("cannot be read", err) from err
        lines, n_damaged = list[Line](), 0
        texts = data.splitlines(keepends=True)
        for number, text in enumerate(texts):
            line = _decoded(text)
            if line is not None:
                lines.append(line)
            elif number < len(texts) - 1 or text.endswith(b"\n"):
                n_damaged += 1
        return lines, n_damaged

    def set_aside(self) -> Path:
        """Keep what lies there under another name, for a person to look at."""
        aside = self.path.with_suffix(f".damaged{self.path.suffix}")
        try:
            self.path.replace(aside)
        except OSError as err:
            raise self._explained("cannot be renamed", err) from err
        return aside

    def replace(self, lines: list[Line]) -> None:
        """Have these lines and no others; a reader sees the old file or the new one."""
        content = b"".join(map(encoded, lines))
        write_durably(self.path, content)
        self.close()
        try:
            self._file = FileIO(os.open(self.path, os.O_WRONLY | os.O_APPEND), "a")
        except OSError as err:
            raise self._explained("cannot be opened", err) from err
        self._n_bytes = len(content)

    def append(self, *texts: bytes) -> None:
        """Hand lines to the system: a killed process keeps them."""
        assert self._file is not None, "written anew when it is opened"
        data = b"".join(texts)
        try:
            if self._file.write(data) != len(data):
                self._file.truncate(self._n_bytes)
                raise OSError(None, "the disk took a part of a line only")
        except OSError as err:
            raise self._explained("cannot be written", err) from err
        self._n_bytes += len(data)
        self._is_synced = False

    def sync(self) -> None:
        """Return when all is on disk."""
        if self._file is None or self._is_synced:
            return
        try:
            os.fsync(self._file)
        except OSError as err:
            raise self._explained("cannot be written to disk", err) from err
        self._is_synced = True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _explained(self, what: str, err: OSError) -> SinkError:
        return SinkError(
            f"{self.path} {what}: {err.strerror or err}; make room or give access, and start again"
        )


def last_seq(path: Path) -> int | None:
    """The batch of the last notice that a queue has taken; None while it has taken none.

    Raises
    ------
    SinkError
        If the file cannot be read.
    """
    lines, _ = QueueFile(path).read()
    seqs = (line.seq for line in lines if isinstance(line, Head | Put) and line.seq is not None)
    newest = max(seqs, default=-1)
    return None if newest < 0 else newest


def _decoded(text: bytes) -> Any:
    checksum, _, content = text.removesuffix(b"\n").partition(b" ")
    if not text.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(content):
        return None
    try:
        return _DECODER.decode(content)
    except msgspec.MsgspecError:
        return None
