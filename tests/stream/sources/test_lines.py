import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sources.lines import LineCutter


class Chunks:
    """Blocks that come as given; `fault` is why they end."""

    def __init__(self, chunks, fault=None):
        self.fault = fault
        self._chunks = chunks

    def read(self, offset_bytes=0):
        data = b"".join(self._chunks)[offset_bytes:]
        sizes = [len(chunk) for chunk in self._chunks] if not offset_bytes else [len(data)]
        for size in sizes:
            yield data[:size]
            data = data[size:]


class LongLine:
    """A short line and one of 50 MB."""

    fault = None

    def __init__(self, newline):
        self._newline = newline

    def read(self, offset_bytes=0):
        yield b"a\n"
        for _ in range(500):
            yield b"x" * 100_000
        yield self._newline


def cut(blocks, *place, n_lines=2, max_line_bytes=50, keep_blank=False):
    """(number, line, end, fault) of every line."""
    cutter = LineCutter(blocks, max_line_bytes, keep_blank)
    return [
        (number, line, end, lines.faults.get(number))
        for lines in cutter.cut(n_lines, *place)
        for number, line, end in zip(lines.numbers, lines.lines, lines.ends, strict=True)
    ]


LINES = st.lists(st.sampled_from([b"", b" ", b"a", b"bb\r", b"c" * 60, b" " * 60]), max_size=12)


@given(lines=LINES, ends=st.booleans(), sizes=st.lists(st.integers(1, 9)), keep=st.booleans())
def test_lines_are_the_same_however_blocks_fall(lines, ends, sizes, keep):
    data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    pieces, rest = [], data
    for size in sizes:
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    whole = cut(Chunks([data]), keep_blank=keep)
    assert cut(Chunks([*pieces, rest]), keep_blank=keep) == whole
    kept = [(i, line) for i, line in enumerate(lines, 1) if keep or line.strip() or len(line) > 50]
    if keep and lines and not lines[-1] and not (ends and lines):
        kept.pop()
    assert [(number, line) for number, line, _, _ in whole] == kept
    for number, line, end, fault in whole:
        assert data[:end].rstrip(b"\n").endswith(line.rstrip(b"\n"))
        assert (fault is not None) == (len(lines[number - 1]) > 50)


@given(lines=LINES)
def test_cutting_goes_on_after_any_line(lines):
    data = b"\n".join(lines)
    whole = cut(Chunks([data]))
    for i, (number, _, end, _) in enumerate(whole):
        assert cut(Chunks([data]), end, number + 1) == whole[i + 1 :]


def test_lines_come_so_many_at_a_time():
    cutter = LineCutter(Chunks([b"1\n2\n\n3\n4\n5"]), 50)
    assert [lines.lines for lines in cutter.cut(2)] == [[b"1", b"2"], [b"3", b"4"], [b"5"]]


def test_a_line_without_a_newline_ends_at_the_end():
    assert cut(Chunks([b"a\nbc"])) == [(1, b"a", 2, None), (2, b"bc", 4, None)]


def test_a_broken_stream_ends_in_what_is_left_and_one_byte_more():
    got = cut(Chunks([b"a\nb"], fault="truncated"))
    assert got == [(1, b"a", 2, None), (2, b"b", 4, "truncated")]
    assert cut(Chunks([b"a\n"], fault="truncated"))[-1] == (2, b"", 3, "truncated")


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_a_line_too_long_is_cut_and_never_held_whole(newline):
    tracemalloc.start()
    got = cut(LongLine(newline), max_line_bytes=1 << 20)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reason = "line of 50000000 bytes is longer than max_line_bytes 1048576"
    end = 50_000_002 + len(newline)
    assert got == [(1, b"a", 2, None), (2, b"x" * 4096, end, reason)]
    assert peak_bytes < 8_000_000
