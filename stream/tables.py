"""What a run came to, as tables: who ranked how well, and what was read and written."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stream.durations import lasted_text
from stream.values import Record

FIGURES = ("recall", "mrr", "ndcg")
CLICK_FIGURES = {
    "calibration_ratio": "ratio",
    "log_loss": "log loss",
    "normalized_entropy": "NE",
    "auc": "AUC",
}
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
    ks = [int(name.removeprefix("recall@")) for name in metrics if name.startswith("recall@")]
    if not ks:
        return None
    k = max(ks)
    samples = metrics[f"recall@{k}"]["samples"]
    table = headed(
        f"Top {k}, each click judged before it is learned",
        _caption(samples, k) if summary["shadows"] else None,
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


def clicks_table(summary: Record) -> Table | None:
    """What was shown and clicked, overall and by policy; None where no list has matured."""
    if "ctr" not in summary["metrics"]:
        return None
    table = headed(
        "Clicks on what was shown, since start",
        "CTR with its 95 % interval; ratio: clicks predicted for each click; "
        "NE: normalised entropy.",
    )
    table.add_column("policy", no_wrap=True)
    for heading in ("shown", "CTR", "", *CLICK_FIGURES.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = {"all": summary["metrics"], **summary["policies"]}
    for name, figures in rows.items():
        ctr = figures["ctr"]
        low, high = ctr["interval"]["total"]
        table.add_row(
            plain(name),
            f"{ctr['samples']['total']:,}",
            f"{ctr['total']:.3f}",
            f"[{low:.3f}, {high:.3f}]",
            *(_total_text(figures.get(figure, {})) for figure in CLICK_FIGURES),
        )
    return table


def alerts_table(summary: Record) -> Table | None:
    """What each alert rule came to; None where there are no rules."""
    if not summary["alerts"]:
        return None
    table = headed("Alerts, by event time")
    table.add_column("rule", no_wrap=True)
    table.add_column("now", no_wrap=True)
    table.add_column("fired", justify="right")
    table.add_column("first", no_wrap=True)
    table.add_column("last resolved", no_wrap=True)
    table.add_column("firing for", justify="right")
    if any(not alert["steps_judged"] for alert in summary["alerts"].values()):
        table.caption = (
            "never judged: the figure had no sample, or fewer than min_samples, at every step, or "
            "the reference was never complete."
        )
    for name, alert in summary["alerts"].items():
        table.add_row(
            plain(name),
            Text(_state_text(alert), "bold red" if alert["state"] == "firing" else ""),
            f"{alert['times_fired']:,}",
            time_text(alert["first_firing_ts"]),
            time_text(alert["last_resolved_ts"]),
            lasted_text(alert["firing_ms"]) if alert["firing_ms"] else "-",
        )
    return table


def _state_text(alert: Record) -> str:
    muted = " (muted)" if alert.get("muted_by") else ""
    return f"{alert['state']}{muted}" if alert["steps_judged"] else "never judged"


def time_text(ts_ms: int | None) -> str:
    """An event time as people read it, in UTC.

    Examples
    --------
    >>> time_text(1_704_067_200_000), time_text(None)
    ('2024-01-01 00:00', '-')
    """
    if ts_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(ts_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def facts_table(summary: Record, out: Path) -> Table:
    """What was read, judged and set aside, and where everything lies."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    rate, now = summary["events_per_second"], summary["events_now"]
    speed = f" ({rate:,.0f} events/s)" if rate else ""
    part = "" if now == summary["events"] else f", {now:,} of them now,"
    told = f"{summary['events']:,}{part} in {summary['seconds']:,.1f} s{speed}"
    table.add_row("events", plain(told))
    table.add_row("clicks", plain(_clicks_text(summary["counts"])))
    if lists := _lists_text(summary["counts"]):
        table.add_row("lists", plain(lists))
    table.add_row("dead letters", plain(_dead_letters_text(summary["dead_letters"], out)))
    table.add_row("outputs", plain(f"{out}: summary.json, metrics.jsonl, alerts.jsonl"))
    if summary["checkpoint"]:
        table.add_row("checkpoint", plain(summary["checkpoint"]))
    return table


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """Numbers as bars, the shortest at `low`, the tallest at `high`.

    Examples
    --------
    >>> sparkline([0.0, 0.1, 0.2, 0.4], low=0.0, high=0.4)
    '▁▃▅█'
    """
    # Divided first: 1 over the smallest of spans is infinite.
    span = high - low if high > low else 1.0
    return "".join(_SPARKS[round((value - low) / span * (len(_SPARKS) - 1))] for value in values)


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


def headed(title: str, caption: str | None = None) -> Table:
    """An empty table as all of them look."""
    return Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
    )


def _caption(samples: dict[str, Any], k: int) -> str:
    last = f"last: over the last {samples['events']:,} samples. " if "events" in samples else ""
    return f"{last}Champion ahead: difference in recall@{k} on the same clicks, 95 % interval."


def _cells(figures: Record, k: int) -> list[str]:
    return [
        f"{figures[f'{figure}@{k}'][window]:.3f}" if window in figures[f"{figure}@{k}"] else "-"
        for figure in FIGURES
        for window in ("total", "events")
    ]


def _total_text(figure: Record) -> str:
    return f"{figure['total']:.3f}" if "total" in figure else "-"


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


def _lists_text(counts: Record) -> str:
    """What became of the lists, and why clicks met none; nothing where nothing was shown."""
    if not counts.get("impressions") and not counts.get("late_impressions"):
        return ""  # the first batch has yet to come, or none held a list
    lines = [f"{counts['impressions']:,}, {counts['matured']:,} of them judged"]
    told = {
        "pending_impressions": "wait for their answer",
        "late_impressions": "came too late and are in no figure",
        "matured_early": "were judged before their window had passed: raise joiner.max_pending",
    }
    lines += [f"{counts[name]:,} {text}" for name, text in told.items() if counts[name]]
    told = {
        "joined_clicks": "were on lists",
        "orphan_clicks": "name a list that never came",
        "late_clicks": "came after the list's window",
        "clicks_not_shown": "are on an item that their list does not show",
    }
    lines += [f"{counts[name]:,} clicks {text}" for name, text in told.items() if counts[name]]
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


def plain(text: str) -> Text:
    """Text from outside is no markup."""
    return Text(text, overflow="fold")
