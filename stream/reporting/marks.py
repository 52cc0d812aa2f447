"""What happened, marked in the plots: known drifts, alerts, and what was done about them.

Behind the lines each kind is one shade, however many overlap; above the plot each mark is a bar of
its own, with its name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from stream.reporting.alert_episodes import AlertLog
from stream.reporting.colours import fill_of
from stream.reporting.formatting import plot_text, printable
from stream.reporting.truth import Drift

Role = Literal["drift", "alert", "reaction"]
Span = tuple[int, int]
"""First and last instant of a stretch of event time, in milliseconds."""

# More of them are a texture, not marks.
MAX_MARKS = 40
_MAX_LABEL_CHARS = 32
_MAX_LANES = 5
_LANE_PX = 18
_BAR_PX = 3
_MIN_BAR_PX = 3.0
_CHAR_PX = 6.6
_GAP_PX = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of event time with a name.

    `code` stands for it where there is no room for `label`; both are empty for an alert that was
    pending and never fired. An alert is pending from `start_ms` and fires from `fired_ms`.
    """

    code: str
    role: Role
    label: str
    start_ms: int
    end_ms: int
    fired_ms: int | None = None

    @property
    def strong_ms(self) -> int:
        """From when on it is drawn strongly: an alert that never fired never is."""
        if self.role != "alert":
            return self.start_ms
        return self.end_ms if self.fired_ms is None else max(self.fired_ms, self.start_ms)


@dataclass(frozen=True, slots=True)
class Lanes:
    """Bars and names above a plot, and the room that they take."""

    shapes: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    height_px: int


def marks_of(drifts: Sequence[Drift], alerts: AlertLog, start_ms: int, end_ms: int) -> list[Mark]:
    """Everything to mark between two instants, the longest 40 of each kind.

    Drifts are D1, D2, ..., alerts that fired A1, A2, ... and reactions R1, R2, ..., each counted
    in order of time.
    """
    marks = [
        Mark(f"D{number}", "drift", drift.label, drift.start_ms, drift.end_ms)
        for number, drift in enumerate(drifts, start=1)
    ]
    n_fired = 0
    for episode in alerts.episodes:
        n_fired += episode.fired_ms is not None
        marks.append(
            Mark(
                code=f"A{n_fired}" if episode.fired_ms is not None else "",
                role="alert",
                label=episode.rule if episode.fired_ms is not None else "",
                start_ms=episode.pending_ms,
                end_ms=end_ms if episode.ended_ms is None else episode.ended_ms,
                fired_ms=episode.fired_ms,
            )
        )
    marks += [
        Mark(
            f"R{number}",
            "reaction",
            reaction.reaction,
            reaction.began_ms,
            end_ms if reaction.ended_ms is None else reaction.ended_ms,
        )
        for number, reaction in enumerate(alerts.reactions, start=1)
    ]
    clipped = [
        replace(mark, start_ms=max(mark.start_ms, start_ms), end_ms=min(mark.end_ms, end_ms))
        for mark in marks
        if mark.start_ms <= end_ms and mark.end_ms >= start_ms
    ]
    kept: list[Mark] = []
    for role in ("drift", "alert", "reaction"):
        of_role = [mark for mark in clipped if mark.role == role]
        longest = sorted(of_role, key=_importance, reverse=True)[:MAX_MARKS]
        kept += [mark for mark in of_role if mark in longest]
    return kept


def mark_shades(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Shades behind the lines of a plot; a reaction has none, it goes with its alert."""
    alerts = [mark for mark in marks if mark.role == "alert"]
    firing = _merged((mark.strong_ms, mark.end_ms) for mark in alerts if mark.fired_ms is not None)
    pending = _merged((mark.start_ms, mark.strong_ms) for mark in alerts)
    spans_of = {
        "drift": _merged((mark.start_ms, mark.end_ms) for mark in marks if mark.role == "drift"),
        "pending": _without(pending, firing),
        "firing": firing,
    }
    return [
        _shade(name, start_ms, end_ms)
        for name, spans in spans_of.items()
        for start_ms, end_ms in spans
    ]


def mark_lanes(
    marks: Sequence[Mark], range_ms: tuple[int, int], width_px: int, is_short: bool
) -> Lanes:
    """Marks as bars with names above a plot, none over another; without room they are left out.

    Parameters
    ----------
    marks : sequence of Mark
        What to show; those without a code are not.
    range_ms : (int, int)
        First and last instant of the plot.
    width_px : int
        The plot's width.
    is_short : bool
        Whether to write codes alone.
    """
    start_ms, end_ms = range_ms
    px_per_ms = width_px / max(end_ms - start_ms, 1)
    taken_px: list[list[tuple[float, float]]] = [[] for _ in range(_MAX_LANES)]
    lanes = Lanes([], [], 0)
    n_lanes = 0
    for mark in marks:
        if not mark.code:
            continue
        text = mark.code if is_short else printable(f"{mark.code} {mark.label}", _MAX_LABEL_CHARS)
        text_px = len(text) * _CHAR_PX
        left_px = (mark.start_ms - start_ms) * px_per_ms
        is_at_end = left_px + text_px > width_px
        right_px = max((mark.end_ms - start_ms) * px_per_ms, left_px + text_px)
        if is_at_end:
            left_px, right_px = min(left_px, width_px - text_px), width_px
        lane = _free_lane(taken_px, left_px, right_px + _GAP_PX)
        if lane is None:
            continue
        taken_px[lane].append((left_px, right_px + _GAP_PX))
        n_lanes = max(n_lanes, lane + 1)
        base_px = _GAP_PX // 2 + lane * _LANE_PX
        lanes.shapes.extend(_bars(mark, base_px, _MIN_BAR_PX / px_per_ms))
        lanes.annotations.append(_name(mark, text, end_ms if is_at_end else None, base_px))
    return replace(lanes, height_px=n_lanes * _LANE_PX + _GAP_PX // 2 if n_lanes else 0)


def _importance(mark: Mark) -> tuple[bool, int]:
    return bool(mark.code), mark.end_ms - mark.start_ms


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Spans as the fewest that cover the same time."""
    merged: list[Span] = []
    for start_ms, end_ms in sorted(spans):
        if merged and start_ms <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_ms))
        else:
            merged.append((start_ms, end_ms))
    return merged


def _without(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """What of spans lies in none of the others; each are apart and in order."""
    left: list[Span] = []
    for start_ms, end_ms in spans:
        for other_start_ms, other_end_ms in others:
            if other_end_ms <= start_ms or other_start_ms >= end_ms:
                continue
            if other_start_ms > start_ms:
                left.append((start_ms, other_start_ms))
            start_ms = max(start_ms, other_end_ms)  # noqa: PLW2901 - what is left of the span
        if end_ms > start_ms:
            left.append((start_ms, end_ms))
    return left


def _shade(name: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    colour = f"var(--{name})"
    is_line = start_ms >= end_ms
    return {
        "type": "line" if is_line else "rect",
        "layer": "below",
        "xref": "x",
        "yref": "paper",
        "x0": start_ms,
        "x1": end_ms,
        "y0": 0,
        "y1": 1,
        "fillcolor": fill_of(colour),
        "line": {"width": 1 if is_line else 0, "color": colour},
    }


def _free_lane(
    taken_px: Sequence[Sequence[tuple[float, float]]], left_px: float, right_px: float
) -> int | None:
    for lane, taken in enumerate(taken_px):
        if all(right_px <= left or left_px >= right for left, right in taken):
            return lane
    return None


def _bars(mark: Mark, base_px: int, min_ms: float) -> Iterable[dict[str, Any]]:
    """The bar of a mark; while an alert is pending it is a thin one."""
    colour = f"var(--{_colour_name(mark)})"
    end_ms = max(mark.end_ms, mark.start_ms + min_ms)
    if mark.strong_ms > mark.start_ms:
        yield _bar("var(--pending)", mark.start_ms, mark.strong_ms, (base_px, base_px + 1))
    yield _bar(colour, mark.strong_ms, end_ms, (base_px, base_px + _BAR_PX))


def _bar(colour: str, start_ms: float, end_ms: float, height_px: tuple[int, int]) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "ysizemode": "pixel",
        "yanchor": 1,
        "x0": start_ms,
        "x1": end_ms,
        "y0": height_px[0],
        "y1": height_px[1],
        "fillcolor": colour,
        "line": {"width": 0},
    }


def _name(mark: Mark, text: str, at_end_ms: int | None, base_px: int) -> dict[str, Any]:
    return {
        "x": mark.start_ms if at_end_ms is None else at_end_ms,
        "xanchor": "left" if at_end_ms is None else "right",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": base_px + _BAR_PX - 1,
        "text": plot_text(text),
        "showarrow": False,
        "borderpad": 0,
        "font": {"size": 11, "color": f"var(--{_colour_name(mark)})"},
    }


def _colour_name(mark: Mark) -> str:
    return "firing" if mark.role == "alert" else mark.role
