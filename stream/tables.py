"""What a run came to, as tables: who ranked how well, and what was read and written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stream.values import Record

FIGURES = ("recall", "mrr", "ndcg")
MAX_REASONS = 5

_SPARKS = "▁▂▃▄▅▆▇█"


def ranking_table(summary: Record, champion: str) -> Table | None:
    """Champion and shadows side by side; None where no click was judged.

    Parameters
    ----------
    summary : dict
        What `summary.json` holds.
    champion : str
        Its name: the first row.
    """
    metrics = summary["metrics"]
    if not metrics:
        return None
    k = max(int(name.rpartition("@")[2]) for name in metrics)
    samples = metrics[f"recall@{k}"]["samples"]
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title=f"Top {k}, each click judged before it is learned",
        title_justify="left",
        title_style="bold",
        caption=_caption(samples, k) if summary["shadows"] else None,
        caption_justify="left",
    )
    table.add_column("learner", no_wrap=True)
    for figure in FIGURES:
        table.add_column(figure, justify="right")
        table.add_column("last", justify="right")
    if summary["shadows"]:
        table.add_column("champion ahead by", no_wrap=True)
    table.add_row(champion, *_cells(metrics, k), style="bold")
    for name, figures in summary["shadows"].items():
        table.add_row(name, *_cells(figures, k), _difference(figures[f"recall@{k}"]))
    return table


def facts_table(summary: Record, out: Path) -> Table:
    """What was read, judged and set aside, and where everything lies."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    rate, now = summary["events_per_second"], summary["events_now"]
    speed = f" ({rate:,.0f} events/s)" if rate else ""
    part = "" if now == summary["events"] else f", {now:,} of them now,"
    told = f"{summary['events']:,}{part} in {summary['seconds']:,.1f} s{speed}"
    table.add_row("events", _plain(told))
    table.add_row("clicks", _plain(_clicks_text(summary["counts"])))
    table.add_row("dead letters", _plain(_dead_letters_text(summary["dead_letters"], out)))
    table.add_row("outputs", _plain(f"{out}: summary.json, metrics.jsonl"))
    if summary["checkpoint"]:
        table.add_row("checkpoint", _plain(summary["checkpoint"]))
    return table


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """Numbers as bars, the shortest at `low`, the tallest at `high`.

    Examples
    --------
    >>> sparkline([0.0, 0.1, 0.2, 0.4], low=0.0, high=0.4)
    '▁▃▅█'
    """
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_SPARKS[round((value - low) * scale)] for value in values)


def size_text(n_bytes: int) -> str:
    """A size as people read it.

    Examples
    --------
    >>> size_text(999), size_text(12_345_678)
    ('999 B', '12.3 MB')
    """
    size = float(n_bytes)
    units = ["kB", "MB", "GB", "TB"]
    if size < 1000:
        return f"{n_bytes} B"
    while size >= 999.95 and units:
        size, unit = size / 1000, units.pop(0)
    return f"{size:.1f} {unit}"


def _caption(samples: dict[str, Any], k: int) -> str:
    last = f"last: over the last {samples['events']:,} samples. " if "events" in samples else ""
    return f"{last}Champion ahead: difference in recall@{k} on the same clicks, 95 % interval."


def _cells(figures: Record, k: int) -> list[str]:
    return [
        f"{figures[f'{figure}@{k}'][window]:.3f}" if window in figures[f"{figure}@{k}"] else "-"
        for figure in FIGURES
        for window in ("total", "events")
    ]


def _difference(recall: Record) -> Text:
    low, high = recall["interval"]
    style = "green" if low > 0 else "red" if high < 0 else ""
    return Text(f"{recall['difference']:+.3f} [{low:+.3f}, {high:+.3f}]", style)


def _clicks_text(counts: Record) -> str:
    lines = [f"{counts['clicks']:,}, {counts['samples']:,} of them judged"]
    if counts["not_admitted"]:
        lines.append(f"{counts['not_admitted']:,} on items not admitted yet: misses")
    if counts["repeated_seen"]:
        lines.append(f"{counts['repeated_seen']:,} on items seen before: learned, not judged")
    return "\n  ".join(lines)


def _dead_letters_text(n_by_reason: dict[str, int], out: Path) -> str:
    if not n_by_reason:
        return "none"
    lines = [f"{sum(n_by_reason.values()):,} in {out / 'dead_letters.jsonl'}"]
    reasons = list(n_by_reason.items())
    lines += [f"{count:,} x {reason}" for reason, count in reasons[:MAX_REASONS]]
    if len(reasons) > MAX_REASONS:
        lines.append(f"and {len(reasons) - MAX_REASONS:,} more reasons")
    return "\n  ".join(lines)


def _plain(text: str) -> Text:
    """Text from outside is no markup."""
    return Text(text, overflow="fold")
