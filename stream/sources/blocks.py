"""The bytes of a file, decompressed, in blocks of bounded size."""

import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from stream.errors import SourceError
from stream.sources.inputs import STDIN, Input

BLOCK_BYTES = 1 << 18
# A block of zstd may unpack to thousands of times its size and takes no limit, so that little is
# fed until the ratio is known.
_LEAST_ZSTD_BYTES = 64


class Blocks:
    """Reads one input from a byte offset to its end.

    Attributes
    ----------
    fault : str or None
        After the last block: why the stream broke off before its end; None if it did not, or
        if the reading began one byte past the break, where whoever has told it goes on.
    bytes_read : int
        Bytes read from disk so far, before decompression.
    """

    def __init__(self, source: Input, stdin: BinaryIO | None = None) -> None:
        self.fault: str | None = None
        self.bytes_read = 0
        self._source = source
        self._stdin = stdin

    def read(self, offset_bytes: int = 0) -> Iterator[bytes]:
        """Blocks from this offset of the decompressed bytes on.

        Raises
        ------
        SourceError
            If the file ends before the offset, or cannot be read.
        """
        source = self._source
        self.fault = None
        self.bytes_read = 0
        try:
            with self._open() as file:
                if source.compression is None and source.path != STDIN:
                    if offset_bytes > file.seek(0, 2):
                        raise _shorter(source.path, offset_bytes)
                    self.bytes_read = file.seek(offset_bytes)
                    yield from self._plain(file)
                elif source.compression is None:
                    yield from self._plain(file)
                else:
                    unpack = self._gzip if source.compression == "gzip" else self._zstd
                    yield from self._after(offset_bytes, unpack(file))
        except OSError as err:
            raise SourceError(f"{source.path}: cannot be read: {err.strerror or err}") from err

    def _open(self) -> "nullcontext[_Readable] | BinaryIO":
        if self._source.path == STDIN:
            return nullcontext(self._stdin or sys.stdin.buffer)
        return Path(self._source.path).open("rb")

    def _after(self, offset_bytes: int, blocks: Iterator[bytes]) -> Iterator[bytes]:
        left = offset_bytes
        for block in blocks:
            if left < len(block):
                yield block[left:]
            left -= min(left, len(block))
        if left == 1 and self.fault:
            self.fault = None  # one byte past a broken end: the fault was told before
        elif left:
            raise _shorter(self._source.path, offset_bytes)

    def _plain(self, file: "_Readable") -> Iterator[bytes]:
        while block := self._pull(file, BLOCK_BYTES):
            yield block

    def _gzip(self, file: "_Readable") -> Iterator[bytes]:
        member = None
        packed = b""
        is_full = False  # the last block was full: more of it may wait inside zlib
        while packed or is_full or (packed := self._pull(file, BLOCK_BYTES)):
            if member is None or member.eof:
                packed = packed.lstrip(b"\0")  # some tools pad the last member with zeros
                is_full = False
                if not packed:
                    continue
                member = zlib.decompressobj(wbits=31)
            try:
                block = member.decompress(packed, BLOCK_BYTES)
            except zlib.error as err:
                self.fault = f"corrupt gzip stream: {err}"
                return
            packed = member.unconsumed_tail or member.unused_data
            is_full = len(block) == BLOCK_BYTES
            if block:
                yield block
        if member and not member.eof:
            self.fault = "truncated gzip stream: the file ends before its data"

    def _zstd(self, file: "_Readable") -> Iterator[bytes]:
        decompressor = zstandard.ZstdDecompressor()
        frame = None
        packed = b""
        feed_bytes = _LEAST_ZSTD_BYTES
        while packed or (packed := self._pull(file, BLOCK_BYTES)):
            if frame is None or frame.eof:
                frame = decompressor.decompressobj()
            try:
                block = frame.decompress(packed[:feed_bytes])
            except zstandard.ZstdError as err:
                self.fault = f"corrupt zstd stream: {err}"
                return
            packed = (frame.unused_data if frame.eof else b"") + packed[feed_bytes:]
            if len(block) > BLOCK_BYTES:
                feed_bytes = max(feed_bytes // 4, _LEAST_ZSTD_BYTES)
            else:
                feed_bytes = min(feed_bytes * 2, BLOCK_BYTES)
            if block:
                yield block
        if frame and not frame.eof:
            self.fault = "truncated zstd stream: the file ends before its data"

    def _pull(self, file: "_Readable", n_bytes: int) -> bytes:
        block = file.read1(n_bytes) if hasattr(file, "read1") else file.read(n_bytes)
        self.bytes_read += len(block)
        return block


class _Readable(Protocol):
    def read(self, n_bytes: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


def _shorter(path: str, offset_bytes: int) -> SourceError:
    return SourceError(
        f"{path}: ends before byte {offset_bytes}, where the checkpoint goes on; "
        "give the same file again, or start afresh in another --out"
    )
