"""The plot of what the time of a run went into, stage by stage."""

from collections.abc import Mapping

from stream.reporting.bar_plots import Bars, bar_plot
from stream.reporting.formatting import percent_text
from stream.reporting.plots import Entry, Plot
from stream.reporting.run_data import RunData

STAGE_WORDS: Mapping[str, str] = {
    "read": "reading events",
    "context": "looking up histories",
    "predict": "predicting",
    "judge": "joining and judging",
    "learn": "learning",
    "advance": "catalogue, outputs",
    "commit": "checkpoints",
}
"""What each stage of the loop is called."""


def stages_plot(run: RunData) -> Plot | None:
    """Shares of the loop's time; None where nobody measured them."""
    told = run.summary.get("stage_seconds")
    seconds = {
        str(name): float(value)
        for name, value in (told.items() if isinstance(told, dict) else ())
        if isinstance(value, int | float) and value >= 0
    }
    total = sum(seconds.values())
    if not total:
        return None
    names = [STAGE_WORDS.get(name, name) for name in seconds]
    shares = [value / total for value in seconds.values()]
    parts = (f"{name} {percent_text(s, 0)}" for name, s in zip(names, shares, strict=True))
    plot = Plot(
        name="plot-stages",
        title="Where the time went",
        text=f"Shares of {total:,.1f} s: {', '.join(parts)}.",
        caption=f"Shares of the {total:,.1f} s of the last start, by the clock.",
        traces=[],
        layout={},
        legend=[],
    )
    return bar_plot(plot, names, [Bars(Entry("stage", "share", "var(--c7)"), shares)], ".0%")
