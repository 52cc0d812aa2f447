import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from stream.sources.csv_rows import MAX_ROW_LINES, CsvRowCutter
from stream.sources.lines import Lines


def lines_of(text: bytes, first=1) -> Lines:
    lines = text.removesuffix(b"\n").split(b"\n")
    numbers = list(range(first, first + len(lines)))
    ends = [sum(len(line) + 1 for line in lines[: i + 1]) for i in range(len(lines))]
    return Lines(lines, numbers, ends)


def cut(text, n_columns=2, n_lines=None, faults=None):
    """(cells or reason, first line, next line, end) of every row."""
    cutter = CsvRowCutter(",", n_columns)
    lines = lines_of(text)
    step = n_lines or len(lines.lines)
    parts = [
        Lines(lines.lines[i : i + step], lines.numbers[i : i + step], lines.ends[i : i + step])
        for i in range(0, len(lines.lines), step)
    ]
    got = []
    for part in parts:
        part.faults = {n: why for n, why in (faults or {}).items() if n in part.numbers}
    for rows in [*(cutter.take(part) for part in parts), cutter.finish()]:
        got += zip(rows.cells, rows.numbers, rows.next_numbers, rows.ends, strict=True)
    return got


CELLS = st.lists(
    st.lists(st.text("ab,\"\n' \u00e9", max_size=5), min_size=2, max_size=2), min_size=1, max_size=8
)


@given(rows=CELLS, n_lines=st.integers(1, 9))
def test_what_was_written_is_read_however_lines_come(rows, n_lines):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    got = cut(file.getvalue().encode(), n_lines=n_lines)
    assert [cells for cells, *_ in got] == rows
    assert [first for _, first, _, _ in got[1:]] == [after for _, _, after, _ in got[:-1]]
    assert got[-1][3] == len(file.getvalue().encode())


def test_lines_without_quotes_are_rows():
    assert cut(b"a,b\r\nc,\n") == [(["a", "b"], 1, 2, 5), (["c", ""], 2, 3, 8)]


def test_blank_lines_are_dropped_but_for_those_in_a_quoted_cell():
    assert cut(b'\n"a\n\nb",c\n  \n') == [(["a\n\nb", "c"], 2, 5, 10)]


def test_a_row_of_another_width_is_bad_alone():
    (_, second, third) = cut(b"a,b\nc\nd,e,f\n")
    assert second[0] == "Expected 2 cells, got 1"
    assert third[0] == "Expected 2 cells, got 3"


def test_text_after_a_quoted_cell_is_bad_alone():
    first, second = cut(b'"a"x,b\nc,d\n')
    assert first[0] == "',' expected after '\"'"
    assert second[0] == ["c", "d"]


def test_a_quote_within_a_cell_is_text():
    assert cut(b'a,5" screen\n')[0][0] == ["a", '5" screen']


def test_bytes_that_are_no_utf8_are_bad_alone():
    first, second = cut(b"a,\xff\nc,d\n")
    assert first[0].startswith("'utf-8' codec can't decode byte 0xff")
    assert second[0] == ["c", "d"]


def test_a_quote_never_closed_costs_its_own_line_only():
    rows = cut(b'"a,b\n' + b"c,d\n" * 5)
    assert rows[0][0] == "a quoted cell is not closed within 6 lines"
    assert [cells for cells, *_ in rows[1:]] == [["c", "d"]] * 5


def test_the_search_for_a_closing_quote_ends():
    rows = cut(b'"a,b\n' + b"c,d\n" * 500 + b'"\n', n_lines=7)
    assert rows[0][0] == f"a quoted cell is not closed within {MAX_ROW_LINES} lines"
    assert [cells for cells, *_ in rows[1:501]] == [["c", "d"]] * 500


def test_a_line_that_cannot_be_used_ends_the_cell_it_is_in():
    rows = cut(b'"a\nxxx\nb",c\nd,e\n', faults={2: "too long"})
    assert [cells for cells, *_ in rows][1] == "too long"
    assert rows[0][0] == "a quoted cell is not closed within 1 lines"
    assert rows[-1][0] == ["d", "e"]
