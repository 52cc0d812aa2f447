"""Episodes of alerts as lines of a terminal: a row for each rule, time from left to right."""

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from stream.reporting.alert_episodes import AlertLog, Episode
from stream.tables import time_text

LEGEND = "█ firing  ▒ firing, muted  ░ pending"

_QUIET, _PENDING, _MUTED, _FIRING = "·", "░", "▒", "█"
_STYLES = {_QUIET: "dim", _PENDING: "yellow", _MUTED: "magenta", _FIRING: "bold red"}
_MIN_CELLS = 20
_MAX_NAME_CHARS = 30


def timeline(
    log: AlertLog, rules: Sequence[str], span_ms: tuple[int, int], width_chars: int
) -> list[Text]:
    """Rows of equal width: one for each rule, and below them when they begin and end.

    A cell shows the most that happened within its time, however short it was.

    Parameters
    ----------
    log : AlertLog
        What happened.
    rules : sequence of str
        The rules, in order; also those of which nothing is to be told have a row.
    span_ms : (int, int)
        First and last instant.
    width_chars : int
        Of the whole.

    Examples
    --------
    >>> episode = Episode("low", {}, pending_ms=20, fired_ms=40, ended_ms=60, told_ms=40)
    >>> print(timeline(AlertLog([episode], []), ["low"], (0, 100), 24)[0])
    low ····░░░░█████·······
    """
    names = [rule if len(rule) <= _MAX_NAME_CHARS else f"{rule[:29]}…" for rule in rules]
    name_chars = max(map(len, names), default=0)
    n_cells = max(width_chars - name_chars - 1, _MIN_CELLS)
    rows = []
    for rule, name in zip(rules, names, strict=True):
        episodes = [episode for episode in log.episodes if episode.rule == rule]
        row = Text(f"{name:{name_chars}} ", no_wrap=True)
        for what, cells in groupby(_cells(episodes, span_ms, n_cells)):
            row.append("".join(cells), _STYLES[what])
        rows.append(row)
    first, last = map(time_text, span_ms)
    axis = f"{first}{last:>{max(n_cells - len(first), len(last) + 1)}}"
    return [*rows, Text(f"{'':{name_chars}} {axis}", "dim", no_wrap=True)]


def _cells(episodes: Sequence[Episode], span_ms: tuple[int, int], n_cells: int) -> list[str]:
    start_ms, end_ms = span_ms
    cells = [_QUIET] * n_cells
    order = (_QUIET, _PENDING, _MUTED, _FIRING)

    def place(at_ms: int) -> int:
        share = (at_ms - start_ms) / max(end_ms - start_ms, 1)
        return min(max(int(share * n_cells), 0), n_cells - 1)

    def paint(what: str, from_ms: int, until_ms: int) -> None:
        for cell in range(place(from_ms), place(until_ms) + 1):
            cells[cell] = max(cells[cell], what, key=order.index)

    for episode in episodes:
        ended_ms = end_ms if episode.ended_ms is None else episode.ended_ms
        if episode.fired_ms is None:
            paint(_PENDING, episode.pending_ms, ended_ms)
            continue
        if episode.pending_ms < episode.fired_ms:
            paint(_PENDING, episode.pending_ms, episode.fired_ms)
        told_ms = ended_ms if episode.told_ms is None else episode.told_ms
        if told_ms > episode.fired_ms or episode.told_ms is None:
            paint(_MUTED, episode.fired_ms, told_ms)
        if episode.told_ms is not None:
            paint(_FIRING, episode.told_ms, ended_ms)
    return cells
