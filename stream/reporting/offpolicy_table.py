"""What policies that did not show the lists would have had, as a table."""

from collections.abc import Mapping
from typing import Any

from stream.reporting.formatting import count_text, metric_title, percent_text, printable
from stream.reporting.markup import Child, Html, element, table
from stream.reporting.metrics_table import CHAMPION, groups_of
from stream.reporting.run_data import RunData

ESTIMATES = (
    "ips_ctr",
    "clipped_ips_ctr",
    "snips_ctr",
    "dr_ctr",
    "clipped_dr_ctr",
    "switch_dr_ctr",
)
MAX_ROWS = 20


def offpolicy_table(run: RunData) -> Html | None:
    """Each estimate since start with its interval, by target; None where none was judged."""
    groups = [
        (subject, figures)
        for subject, figures in groups_of(run.summary)
        if not subject.startswith("shadow:") and "ips_ctr" in figures
    ]
    if not groups:
        return None
    known = [name for name in ESTIMATES if any(name in figures for _, figures in groups)]
    header: list[Child] = [
        "policy asked about",
        "shown items",
        metric_title("effective_samples"),
        metric_title("mean_weight"),
        *(metric_title(name) for name in known),
    ]
    rows: list[list[Child]] = []
    for subject, figures in groups[:MAX_ROWS]:
        name = printable(subject.partition(":")[2])
        mean_weight = _total(figures.get("mean_weight"))
        rows.append(
            [
                element("b", f"made of {run.champion}") if subject == CHAMPION else name,
                count_text(_total(_mapping(figures["ips_ctr"]).get("samples"))),
                count_text(_total(figures.get("effective_samples"))),
                count_text(None) if mean_weight is None else f"{mean_weight:.3f}",
                *(_estimate(figures.get(name)) for name in known),
            ]
        )
    return table("CTR that policies would have had which did not show the lists", header, rows)


def _estimate(figure: Any) -> Html | str:
    value = _total(figure)
    if value is None:
        return count_text(None)
    parts = [percent_text(value)]
    for key, told in (("interval", "95 %"), ("bounds", "bounds")):
        ends = _mapping(_mapping(figure).get(key)).get("total")
        if isinstance(ends, list) and all(isinstance(end, int | float) for end in ends):
            parts.append(f"{told}: {percent_text(ends[0])} to {percent_text(ends[1])}")
    first, *below = parts
    return element("span", first, *(element("small", part) for part in below), class_="stacked")


def _total(figure: Any) -> float | None:
    value = _mapping(figure).get("total")
    return float(value) if isinstance(value, int | float) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
