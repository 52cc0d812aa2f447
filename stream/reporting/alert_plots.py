"""Plots of what alerts watch: the figure of a rule that fired, and the threshold it crossed."""

from collections.abc import Sequence
from typing import Any

from stream.reporting.alert_episodes import Episode
from stream.reporting.colours import CHAMPION_COLOUR
from stream.reporting.figure_blocks import window_labels
from stream.reporting.formatting import is_share, metric_title, printable, value_text
from stream.reporting.metrics_table import CHAMPION, Figure
from stream.reporting.plots import Entry, Plot, TimeAxis, last_value, line, time_layout
from stream.reporting.ranking_figures import period_text, told
from stream.reporting.run_data import RunData

MAX_PLOTS = 8


def alert_plots(run: RunData, axis: TimeAxis) -> list[Plot]:
    """A plot for each rule that fired and whose figure was written down, the first eight."""
    episodes_of: dict[str, list[Episode]] = {}
    for episode in run.alerts.fired:
        if episode.text("shadow"):  # it was compared with that, and not with a threshold
            continue
        episodes_of.setdefault(episode.rule, []).append(episode)
    plots = (_plot(run, axis, rule, episodes) for rule, episodes in episodes_of.items())
    return [plot for plot in plots if plot is not None][:MAX_PLOTS]


def _plot(run: RunData, axis: TimeAxis, rule: str, episodes: Sequence[Episode]) -> Plot | None:
    last = episodes[-1]
    metric, over, policy = (last.text(key) for key in ("metric", "over", "policy"))
    subject = f"policy:{policy}" if policy else CHAMPION
    value_R = run.metrics.column_of.get(Figure(subject, metric, over))
    if value_R is None:
        return None
    title = metric_title(printable(metric))
    watched = Entry(
        "value", title, CHAMPION_COLOUR, value_of={"": value_text(last_value(value_R), metric)}
    )
    limit = Entry("threshold", "threshold while it was crossed", "var(--firing)", "dot")
    window = window_labels(run).get(over, over)
    of_policy = f", lists of {printable(policy)}" if policy else ""
    return Plot(
        name=f"plot-alert-{printable(rule)}",
        title=printable(rule),
        text=f"{title} over event time, {period_text(axis)}. {told([watched])}",
        caption=f"{title}, {window}{of_policy}, and what it was compared with from pending to "
        "resolved.",
        traces=[
            _thresholds(limit, episodes, axis.end_ms),
            line(watched, None, run.metrics.ts_ms_R, value_R),
        ],
        layout=time_layout(axis, ".3~%" if is_share(metric) else ",.4~r"),
        legend=[watched, limit],
        axis=axis,
    )


def _thresholds(entry: Entry, episodes: Sequence[Episode], end_ms: int) -> dict[str, Any]:
    """A level for each episode, apart from one another."""
    x: list[int | None] = []
    y: list[float | None] = []
    for episode in episodes:
        if episode.threshold is not None:
            ended_ms = end_ms if episode.ended_ms is None else episode.ended_ms
            x += [episode.pending_ms, ended_ms, None]
            y += [episode.threshold, episode.threshold, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": entry.label,
        "x": x,
        "y": y,
        "line": {"color": entry.colour, "width": 2, "dash": entry.style},
        "meta": {"key": entry.key, "window": None},
    }
