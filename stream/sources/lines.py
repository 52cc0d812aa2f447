"""Blocks of bytes become numbered lines; a line too long to hold is cut and named."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from stream.decoding import MAX_RAW_BYTES
from stream.sources.blocks import Blocks


@dataclass(slots=True)
class Lines:
    """Some lines in a row, without their newlines.

    Line i has the number `numbers[i]` (the first of a file is 1) and ends before the byte
    `ends[i]`. `faults` says of some numbers why the line cannot be used; such a line is cut.
    """

    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


class LineCutter:
    """Cuts an input into lines, some at a time, however its blocks fall.

    Blank lines are dropped (but numbered) unless `keep_blank`. A stream that breaks off ends in
    one more line that holds what is left, with the reason; it ends one byte past what can be
    read, so that a resume from there knows that nothing follows.
    """

    def __init__(self, blocks: Blocks, max_line_bytes: int, keep_blank: bool = False) -> None:
        self._blocks = blocks
        self._max_line_bytes = max_line_bytes
        self._keep_blank = keep_blank

    def cut(self, n_lines: int, offset_bytes: int = 0, number: int = 1) -> Iterator[Lines]:
        """`n_lines` lines at a time from this offset on, which is the start of line `number`."""
        pending = Lines()
        tail = b""
        lost_bytes = 0  # of the line that `tail` begins, cut because it is too long
        for block in self._blocks.read(offset_bytes):
            parts = (tail + block).split(b"\n")
            tail = parts.pop()
            if parts:
                offset_bytes = self._take(pending, parts, lost_bytes, offset_bytes, number)
                number += len(parts)
                lost_bytes = 0
            if len(tail) > self._max_line_bytes:
                lost_bytes += len(tail) - len(tail[:MAX_RAW_BYTES])
                tail = tail[:MAX_RAW_BYTES]
            while len(pending.lines) >= n_lines:
                yield _split(pending, n_lines)
        if self._blocks.fault:
            pending.faults[number] = self._blocks.fault
            _append(pending, tail, number, offset_bytes + len(tail) + lost_bytes + 1)
        elif tail:
            # No newline follows: the end that `_take` counts is one byte past the file's.
            end = self._take(pending, [tail], lost_bytes, offset_bytes, number) - 1
            if pending.numbers and pending.numbers[-1] == number:
                pending.ends[-1] = end
        while pending.lines:
            yield _split(pending, n_lines)

    def _take(
        self, pending: Lines, parts: list[bytes], lost_bytes: int, offset_bytes: int, number: int
    ) -> int:
        """Append whole lines; the offset after them."""
        lengths = list(map(len, parts))
        lengths[0] += lost_bytes
        ends = list(accumulate((length + 1 for length in lengths), initial=offset_bytes))
        is_overlong = max(lengths) > self._max_line_bytes
        has_blank = not all(parts) or any(map(bytes.isspace, parts))
        if not is_overlong and (self._keep_blank or not has_blank):
            pending.lines += parts
            pending.numbers += range(number, number + len(parts))
            pending.ends += ends[1:]
            return ends[-1]
        for i, (part, length) in enumerate(zip(parts, lengths, strict=True)):
            if length > self._max_line_bytes:
                pending.faults[number + i] = (
                    f"line of {length} bytes is longer than max_line_bytes {self._max_line_bytes}"
                )
                _append(pending, part[:MAX_RAW_BYTES], number + i, ends[i + 1])
            elif self._keep_blank or (part and not part.isspace()):
                _append(pending, part, number + i, ends[i + 1])
        return ends[-1]


def _append(pending: Lines, line: bytes, number: int, end: int) -> None:
    pending.lines.append(line)
    pending.numbers.append(number)
    pending.ends.append(end)


def _split(pending: Lines, n_lines: int) -> Lines:
    """Take the first lines off."""
    first = Lines(pending.lines[:n_lines], pending.numbers[:n_lines], pending.ends[:n_lines])
    del pending.lines[:n_lines], pending.numbers[:n_lines], pending.ends[:n_lines]
    if pending.faults:
        first.faults = {n: pending.faults.pop(n) for n in first.numbers if n in pending.faults}
    return first
