"""DIGINETICA, as the ADER benchmark cut it into weeks: clicks of an online shop.

A folder of `period_N.txt`, a row `session item` for each click in order of time. The rows have
no times and no users: a row's `ts` is its period x 7 days + its number in the file (from 0) x 1 s,
and a session is a user.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from stream.errors import UsageError
from stream.events import Click
from stream.importers.rows import BadRows, files_of, id_of, parsed_rows

# Three digits keep every time before the year 2100.
_NAME = re.compile(r"period_(0|[1-9][0-9]{0,2})\.txt")
_ROW_MS = 1_000
_PERIOD_MS = 7 * 86_400_000
_MAX_PERIOD_ROWS = _PERIOD_MS // _ROW_MS


def diginetica_events(
    source: Path, bad_rows: BadRows, *, periods: Collection[int] | None = None
) -> Iterator[Click]:
    """A click for each row, in order of time; nothing is held in memory.

    Parameters
    ----------
    source : Path
        The folder, or one of its files.
    bad_rows : BadRows
        Is told of each row that cannot be used.
    periods : collection of int, optional
        The periods to take, in order of time whatever their order here; without it, all.

    Raises
    ------
    UsageError
        If there is no such file, or not every one of the periods asked for.
    """
    path_by_period = _find_periods(source)
    chosen = sorted(path_by_period) if periods is None else sorted(set(periods))
    if missing := [period for period in chosen if period not in path_by_period]:
        raise UsageError(
            f"{source}: has no period_{missing[0]}.txt; it has the periods "
            f"{', '.join(map(str, sorted(path_by_period)))}"
        )
    return (
        click
        for period in chosen
        for click in _period_clicks(path_by_period[period], period, bad_rows)
    )


def _find_periods(source: Path) -> dict[int, Path]:
    matches = [(_NAME.fullmatch(path.name), path) for path in files_of(source)]
    found = {int(match[1]): path for match, path in matches if match}
    if found:
        return found
    problem = "holds no DIGINETICA clicks" if source.exists() else "no such folder or file"
    raise UsageError(f"{source}: {problem}; looked for period_0.txt, period_1.txt and so on")


def _period_clicks(path: Path, period: int, bad_rows: BadRows) -> Iterator[Click]:
    start_ms = period * _PERIOD_MS

    def click_of(line_number: int, line: str) -> Click:
        fields = line.split()
        if len(fields) != 2:
            raise ValueError(f"expected a session and an item, got {len(fields)} fields")
        if line_number > _MAX_PERIOD_ROWS:
            raise ValueError(f"a period of 7 days has at most {_MAX_PERIOD_ROWS} rows")
        session = id_of(fields[0], "session")
        ts_ms = start_ms + (line_number - 1) * _ROW_MS
        return Click(session, id_of(fields[1], "item"), ts_ms, session=session)

    return parsed_rows(path, click_of, bad_rows)
