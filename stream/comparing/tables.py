"""What a comparison came to, as tables on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from stream.tables import headed, plain, size_text, sparkline, time_text
from stream.values import Record

MAX_SETTINGS = 20
_MAX_VALUE_CHARS = 40
_MAX_SPARKS = 32
_STYLES = {"a": "green", "b": "green", None: ""}


def settings_table(record: Record) -> Table | None:
    """The settings that differ; None where none does."""
    found = record["settings"]
    if not found:
        return None
    more = f"and {len(found) - MAX_SETTINGS:,} more" if len(found) > MAX_SETTINGS else None
    table = headed("What differs", more)
    table.add_column("setting", no_wrap=True)
    for side in ("a", "b"):
        table.add_column(f"{side.upper()}: {record[side]['name']}", overflow="fold")
    for one in found[:MAX_SETTINGS]:
        table.add_row(plain(one["key"]), *(_setting(one[side]) for side in ("a", "b")))
    return table


def differences_table(record: Record) -> Table | None:
    """Each figure of both, and how sure its difference is; None where nothing was judged."""
    if not record["metrics"]:
        return None
    samples = record["metrics"].get(record["headline"], {}).get("samples", 0)
    table = headed(
        f"{samples:,} clicks, each judged by both before either learns it",
        "In brackets the 95 % interval of the difference, each figure for itself. It holds at "
        "every look: who looks early errs no more often. More events: what a verdict would take, "
        "if the difference stays as it is.",
    )
    table.add_column("figure", no_wrap=True)
    for heading in ("A", "B", "B less A", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("more\nevents", justify="right", no_wrap=True)
    for name, figure in record["metrics"].items():
        if is_repeated(name):
            continue
        low, high = figure["interval"]
        verdict, more = verdict_parts(figure)
        table.add_row(
            plain(name),
            f"{figure['a']:.4f}",
            f"{figure['b']:.4f}",
            Text(signed_text(figure["difference"]), _STYLES[figure["better"]]),
            f"[{low:+.4f}, {high:+.4f}]",
            Text(verdict, _STYLES[figure["better"]]),
            more,
            style="bold" if name == record["headline"] else "",
        )
    return table


def others_table(record: Record) -> Table | None:
    """Figures of the click probabilities that have no interval; None where there are none."""
    if not record["others"]:
        return None
    table = headed("Click probabilities since start")
    table.add_column("figure", no_wrap=True)
    for heading in ("A", "B", "B less A"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, figure in record["others"].items():
        pair = (f"{figure[side]:.4f}" for side in ("a", "b"))
        table.add_row(plain(name), *pair, signed_text(figure["difference"]))
    return table


def drift_lines(record: Record) -> list[str]:
    """How the headline's difference went over the stream, in words and as a small curve."""
    name = record["headline"]
    figure, stretches = record["metrics"].get(name), record["stretches"].get(name)
    if figure is None or stretches is None or not figure["halves"]:
        return []
    lines = []
    for told, half in zip(("first", "second"), figure["halves"], strict=True):
        low, high = half["interval"]
        lines.append(
            f"{name}, B less A in the {told} half: {half['difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}]"
        )
    values = _coarse(stretches["difference"], stretches["samples"])
    ends = max(map(abs, values), default=0.0)
    if ends:
        curve = sparkline(values, -ends, ends)
        first, last = (time_text(stretches["watermark_ms"][at]) for at in (0, -1))
        lines.append(f"over time, {first} to {last}: {curve} from {-ends:+.3f} to {ends:+.3f}")
    if (ends := figure.get("interval_by_user")) is not None:
        lines.append(
            f"for other users of the same kind: [{ends[0]:+.4f}, {ends[1]:+.4f}], at one look"
        )
    if warning := turned_text(figure):
        lines.append(warning)
    return lines


def seeds_table(record: Record) -> Table | None:
    """The headline's difference for each seed; None where there is one alone."""
    seeds, figure = record["seeds"], record["metrics"].get(record["headline"])
    if figure is None or not seeds or len(seeds) < 2:
        return None
    table = headed(f"{record['headline']}, B less A, by seed")
    table.add_column("seed", justify="right")
    table.add_column("difference", justify="right")
    table.add_column("95 % interval", no_wrap=True)
    for seed, one in zip(seeds, figure["by_seed"], strict=True):
        low, high = one["interval"]
        table.add_row(str(seed), f"{one['difference']:+.4f}", f"[{low:+.4f}, {high:+.4f}]")
    return table


def cost_table(record: Record) -> Table:
    """What each side took of the processor and of memory."""
    table = headed(
        "Cost",
        "Events a second of CPU time, measured side by side in one process, the first two batches "
        "left out; state: what a checkpoint holds.",
    )
    table.add_column("", no_wrap=True)
    for heading in ("events/s", "predict and learn alone", "state"):
        table.add_column(heading, justify="right", no_wrap=True)
    for side in ("a", "b"):
        cost = record["cost"][side]
        table.add_row(
            f"{side.upper()}: {record[side]['champion']}",
            rate_text(cost["events_per_cpu_s"]),
            rate_text(cost["learner_events_per_cpu_s"]),
            size_text(cost["state_bytes"]),
        )
    return table


def verdict_parts(figure: Record) -> tuple[str, str]:
    """What a figure's interval says, and how many more events it would take to say more.

    Examples
    --------
    >>> verdict_parts({"better": None, "difference": 0.1, "more_events": 123_456})
    ('none yet', '120 k')
    >>> verdict_parts({"better": "b", "difference": 0.1, "more_events": 0})
    ('B better', '')
    """
    if figure["better"]:
        return f"{figure['better'].upper()} better", ""
    if not figure["difference"]:
        return "equal", ""
    if figure["more_events"] is None:
        return "none yet", "no end"
    return "none yet", short_count(figure["more_events"])


def short_count(number: int) -> str:
    """A large number as it is said, with two digits.

    Examples
    --------
    >>> short_count(940), short_count(12_345), short_count(2_187_000)
    ('940', '12 k', '2.2 M')
    """
    size = float(rounded(number))
    units = ["", " k", " M", " G", " T"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.2g}{units[0]}" if size < 10 and units[0] else f"{size:,.0f}{units[0]}"


def signed_text(value: float) -> str:
    """A difference with its sign; of a small one its size.

    Examples
    --------
    >>> signed_text(0.0123), signed_text(-0.000012), signed_text(0.0)
    ('+0.0123', '-1e-05', '0')
    """
    if not value:
        return "0"
    return f"{value:+.1g}" if abs(value) < 0.00005 else f"{value:+.4f}"


def is_repeated(name: str) -> bool:
    """Whether a figure is recall@1 under another name: of one place, all are the same.

    Examples
    --------
    >>> is_repeated("mrr@1"), is_repeated("recall@1"), is_repeated("mrr@10")
    (True, False, False)
    """
    return name.endswith("@1") and not name.startswith("recall")


def turned_text(figure: Record) -> str | None:
    """A warning where one half of the stream contradicts the other; None where it does not."""
    sides = [half["better"] for half in figure["halves"]]
    if None in sides or len(set(sides)) != 2:
        return None
    first, second = (side.upper() for side in sides)
    return (
        f"{first} was better in the first half and {second} in the second: the difference since "
        "start is of neither; compare on later events"
    )


def rounded(number: float) -> int:
    """A number of which two digits are meant.

    Examples
    --------
    >>> rounded(123_456), rounded(7)
    (120000, 7)
    """
    n_digits = len(str(round(number)))
    return int(round(number, min(2 - n_digits, 0)))


def rate_text(rate: float | None) -> str:
    """A rate without digits that nobody means; a dash where there is none."""
    return "-" if rate is None else f"{rounded(rate):,}"


def _coarse(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Neighbours put together until few are left."""
    length = -(-len(values) // _MAX_SPARKS)
    found = []
    for start in range(0, len(values), length):
        part = list(
            zip(values[start : start + length], weights[start : start + length], strict=True)
        )
        total = sum(weight for _, weight in part)
        found.append(sum(value * weight for value, weight in part) / total)
    return found


def _setting(value: Any) -> Text:
    text = "unset" if value is None else str(value)
    cut = text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 1] + "…"
    return plain(cut)
