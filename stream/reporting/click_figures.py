"""Plots of click-through: observed, predicted and true CTR, losses and calibration."""

from typing import Any

import numpy as np

from stream.durations import parse_duration_ms
from stream.reporting.colours import CHAMPION_COLOUR, TRUTH_COLOUR, policy_colours
from stream.reporting.formatting import (
    count_text,
    printable,
    span_text,
    value_text,
)
from stream.reporting.metric_plots import metric_lines, metric_plot
from stream.reporting.metrics_table import CHAMPION
from stream.reporting.plots import (
    Entry,
    Plot,
    TimeAxis,
    band,
    json_numbers,
    last_value,
    level,
    line,
    time_layout,
)
from stream.reporting.ranking_figures import last_values, period_text, told
from stream.reporting.reliability import Bin, reliability_bins
from stream.reporting.run_data import RunData

MAX_POLICIES = 6
_DEFAULT_WINDOW_MS = 3_600_000
_OBSERVED_COLOUR = "var(--ink)"


def ctr_plot(run: RunData, axis: TimeAxis) -> Plot | None:
    """CTR over event time: observed, by policy, predicted, true; None where no list matured."""
    table = run.metrics
    if not table.windows("ctr"):
        return None
    policies = most_shown_policies(run)
    observed = Entry(
        "observed", "observed", _OBSERVED_COLOUR, value_of=last_values(table, CHAMPION, "ctr")
    )
    predicted = Entry(
        "predicted",
        f"predicted by {run.champion}",
        CHAMPION_COLOUR,
        value_of=last_values(table, CHAMPION, "predicted_ctr"),
    )
    legend = [observed]
    traces: list[dict[str, Any]] = []
    for window in table.windows("ctr"):
        low_R = table.column(CHAMPION, "ctr", f"{window}_low")
        high_R = table.column(CHAMPION, "ctr", f"{window}_high")
        if low_R is not None and high_R is not None:
            traces += band(observed, window, table.ts_ms_R, (low_R, high_R))
    for name, colour in policy_colours(policies).items():
        subject = f"policy:{name}"
        entry = Entry(
            subject, f"policy {name}", colour, value_of=last_values(table, subject, "ctr")
        )
        legend.append(entry)
        traces += metric_lines(run, entry, subject, "ctr", width=1.5)
    traces += metric_lines(run, observed, CHAMPION, "ctr", width=2.5)
    if table.windows("predicted_ctr"):
        legend.append(predicted)
        traces += metric_lines(run, predicted, CHAMPION, "predicted_ctr")
    true_lines = _true_lines(run)
    if true_lines:
        legend.append(true_lines[0])
        traces += true_lines[1]
    return Plot(
        name="plot-ctr",
        title="Click-through rate over event time",
        text=f"CTR over event time, {period_text(axis)}. {told(legend)}",
        caption=_ctr_caption(run, bool(true_lines)),
        traces=traces,
        layout=time_layout(axis, ".2~%", rangemode="tozero"),
        legend=legend,
        axis=axis,
        is_tall=True,
    )


def loss_plots(run: RunData, axis: TimeAxis) -> list[Plot]:
    """Log loss and normalised entropy, each with a plot of its own."""
    captions = {
        "log_loss": "Of the click predictions on mature lists, in nats; lower is better.",
        "normalized_entropy": "Log loss over that of always predicting the observed CTR. Below "
        "the dotted 1, the predictions tell something.",
    }
    plots = [metric_plot(run, axis, metric, caption) for metric, caption in captions.items()]
    for plot in plots:
        if plot is not None and plot.name == "plot-normalized_entropy":
            plot.layout["shapes"].append(level(1.0))
    return [plot for plot in plots if plot is not None]


def calibration_plots(run: RunData, axis: TimeAxis) -> list[Plot]:
    """The reliability curve, and the calibration ratio over time."""
    ratio = metric_plot(
        run,
        axis,
        "calibration_ratio",
        "Predicted clicks for each click. Above the dotted 1, more were predicted than came.",
    )
    if ratio is not None:
        ratio.layout["shapes"].append(level(1.0))
    error = metric_plot(
        run,
        axis,
        "ece",
        "Expected calibration error: the mean distance of predicted and observed CTR in bins of "
        "the prediction.",
    )
    return [plot for plot in (_reliability_plot(run), ratio, error) if plot is not None]


def most_shown_policies(run: RunData) -> list[str]:
    """The policies with the most shown items, if there are at least two."""
    names = run.metrics.subjects("policy", "ctr")
    metrics = run.summary.get("policies")
    samples: dict[str, float] = {}
    for name in names:
        of_policy = metrics.get(name) if isinstance(metrics, dict) else None
        ctr = of_policy.get("ctr") if isinstance(of_policy, dict) else None
        counts = ctr.get("samples") if isinstance(ctr, dict) else None
        total = counts.get("total") if isinstance(counts, dict) else None
        samples[name] = float(total) if isinstance(total, int | float) else 0.0
    by_samples = sorted(names, key=lambda name: -samples[name])[:MAX_POLICIES]
    return by_samples if len(by_samples) > 1 else []


def _true_lines(run: RunData) -> tuple[Entry, list[dict[str, Any]]] | None:
    table = run.metrics
    of_window_R = run.truth.trailing_ctr(table.ts_ms_R, _window_ms(run))
    last = last_value(of_window_R)
    if last is None:
        return None
    stream_ms = int(table.ts_ms_R[-1])
    of_all_R = run.truth.trailing_ctr(table.ts_ms_R, stream_ms)
    shown = {"events": of_window_R, "time": of_window_R, "total": of_all_R}
    windows = table.windows("ctr")
    values = {window: value_text(last_value(shown[window]), "ctr") for window in windows}
    entry = Entry("true", "true", TRUTH_COLOUR, "dash", values)
    return entry, [line(entry, window, table.ts_ms_R, shown[window]) for window in windows]


def _window_ms(run: RunData) -> int:
    try:
        return parse_duration_ms(run.setting("evaluator", "window_time"))
    except ValueError:
        return _DEFAULT_WINDOW_MS


def _ctr_caption(run: RunData, has_truth: bool) -> str:
    parts = ["Share of the shown items that were clicked, once their answer was known."]
    if run.metrics.column(CHAMPION, "ctr", "time_low") is not None:
        parts.append("Band: 95 % interval of the observed CTR.")
    if has_truth:
        parts.append(
            f"True: the simulation's own, as its mean over the {span_text(_window_ms(run))} before."
        )
    n_policies = len(run.metrics.subjects("policy", "ctr"))
    if n_policies > MAX_POLICIES:
        parts.append(f"Of {n_policies:,} policies, those that showed the most items.")
    return " ".join(parts)


def _reliability_plot(run: RunData) -> Plot | None:
    bins = reliability_bins(
        run.summary.get("reliability", run.metrics.last.get("reliability")), run.champion
    )
    if not bins:
        return None
    top = 1.08 * max(max(one.predicted, one.observed) for one in bins)
    entry = Entry("reliability", run.champion, CHAMPION_COLOUR)
    format_ = ".3~%"
    return Plot(
        name="plot-reliability",
        title="Reliability of the click predictions",
        text="Observed against predicted CTR by bin of the prediction. "
        + "; ".join(
            f"predicted {value_text(one.predicted, 'ctr')}, "
            f"observed {value_text(one.observed, 'ctr')}"
            for one in bins
        )
        + ".",
        caption="Shown items in bins of their predicted CTR; a larger dot holds more of them. On "
        "the dotted line, predictions come true.",
        traces=[_reliability_trace(entry, bins)],
        layout={
            "hovermode": "closest",
            "shapes": [
                {
                    **level(0.0),
                    "xref": "x",
                    "x1": top,
                    "y1": top,
                }
            ],
            "xaxis": {"range": [0, top], "tickformat": format_, "title": {"text": "predicted CTR"}},
            "yaxis": {"range": [0, top], "tickformat": format_, "title": {"text": "observed CTR"}},
        },
        legend=[entry],
    )


def _reliability_trace(entry: Entry, bins: list[Bin]) -> dict[str, Any]:
    predicted, observed, samples = np.array(bins).T
    size = 6.0 + 14.0 * np.sqrt(samples / samples.max())
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": printable(entry.label),
        "x": json_numbers(predicted),
        "y": json_numbers(observed),
        "text": [f"{count_text(count)} shown items" for count in samples.tolist()],
        "hovertemplate": "predicted %{x:.2%}<br>observed %{y:.2%}<br>%{text}<extra></extra>",
        "line": {"color": entry.colour, "width": 1.5},
        "marker": {"color": entry.colour, "size": json_numbers(size), "opacity": 0.75},
        "cliponaxis": False,
        "meta": {"key": entry.key, "window": None},
    }
