"""`freshrank compare`: two configurations on the same events, and whether one is better."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stream.commands.options import (
    FromOption,
    MapOption,
    SetOption,
    UntilOption,
    columns_of,
    time_ms,
)
from stream.commands.stopping import StopSignals, leave_at_once
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import ConfigError, NoUsableEventError, UsageError
from stream.progress import Progress, done_ratio
from stream.settings import read_settings

if TYPE_CHECKING:
    from stream.comparing.comparison import Comparison, ComparisonJob
    from stream.comparing.result import Named
    from stream.config import FreshrankConfig
    from stream.values import Batch, Record

_CONFIG_ENDINGS = (".yaml", ".yml")

EXAMPLES = examples(
    "freshrank compare today.yaml wider.yaml 'events/*.jsonl.zst'",
    "freshrank compare freshrank.yaml events.jsonl --set-b learner.replay_ratio=8",
    "freshrank compare events.jsonl --set-a champion=session_knn --set-b champion=blend",
    "freshrank compare a.yaml b.yaml events.jsonl --seeds 0,1,2 --limit 100000 --json ab.json",
)


# Each parameter is an option.
def compare(  # noqa: PLR0913
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[A.yaml [B.yaml]] EVENTS...",
            help="Settings of A and of B, the same for both if one is named; then files of events "
            "as for replay.",
        ),
    ],
    overrides: SetOption = None,
    set_a: Annotated[
        list[str] | None,
        typer.Option("--set-a", metavar="KEY=VALUE", help="Set one key of A alone."),
    ] = None,
    set_b: Annotated[
        list[str] | None,
        typer.Option("--set-b", metavar="KEY=VALUE", help="Set one key of B alone."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            "--seed",
            metavar="N,N,...",
            help="Run both once with each of these seeds; the settings are then judged by the mean "
            "over them.",
        ),
    ] = None,
    columns: MapOption = None,
    since: FromOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="Stop after N records.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write everything that was found out."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the page goes.")
    ] = Path("compare.html"),
    report: Annotated[bool, typer.Option(help="Write the page.", metavar="")] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only.", metavar="")
    ] = False,
) -> None:
    """Say which of two configurations is better, on the same clicks, in one pass.

    Both predict and learn in lock step. The 95 % intervals hold at every look: stop with Ctrl-C
    when the verdict is there, and what was seen so far is reported.
    """
    from stream.run_folder import resolved

    terminal = terminal_of(ctx)
    for file in (json_file, out):
        if file is not None and file.is_dir():
            raise UsageError(f"{file}: is a folder; name a file in it")
    files, events = _told_apart(paths)
    if len(files) == 1 and not set_a and not set_b:
        raise UsageError(
            f"{files[0]}: names one configuration; name a second one, or say what differs: "
            "--set-b learner.width=128"
        )
    given = {
        "from_ms": time_ms("--from", since),
        "until_ms": time_ms("--until", until),
        "limit": limit,
        **{f"map.{name}": column for name, column in columns_of(columns).items()},
    }
    shared = [f"source.{k}={json.dumps(v)}" for k, v in given.items() if v is not None]
    sides = [
        _read("A", files[0] if files else None, [*(overrides or []), *shared, *(set_a or [])]),
        _read("B", files[-1] if files else None, [*(overrides or []), *shared, *(set_b or [])]),
    ]
    a, b = (resolved(config, Path(), resume=False) for config in sides)
    from stream.comparing.comparison import ComparisonJob
    from stream.comparing.result import Named

    named = Named(_name(files[:1], set_a), _name(files[-1:], set_b))
    job = ComparisonJob(a, b, _seeds(seeds))
    record, status = _run(terminal, _Asked(job, named, events, quiet))
    if json_file is not None:
        from stream.durable import write_durably

        write_durably(json_file, (json.dumps(record, indent=2) + "\n").encode())
    if report:
        _write_page(terminal, record, out, is_quiet=quiet)
    if status:
        raise typer.Exit(status)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A comparison that somebody watches."""

    job: "ComparisonJob"
    named: "Named"
    events: Sequence[str]
    is_quiet: bool


def _run(terminal: Terminal, asked: _Asked) -> "tuple[Record, int]":
    """Compare with progress, and print what came out; the record, and the exit status."""
    from stream.comparing.comparison import Comparison
    from stream.comparing.result import comparison_record
    from stream.sources.file import FileSource

    job = asked.job
    source = FileSource(job.a.source.model_copy(update={"kafka": None}), asked.events, job.a.batch)
    n_records = job.a.source.limit
    progress = Progress(
        Console(stderr=True, quiet=True) if asked.is_quiet else terminal.err,
        figure=f"B less A in recall@{max(job.a.ranking.ks)}",
        done_ratio=lambda n_done: done_ratio(source, n_done, n_records),
        name="compare",
    )

    def on_batch(batch: "Batch", comparison: "Comparison") -> None:  # noqa: ARG001
        progress.update(comparison)

    comparison = Comparison(job, source, on_batch)
    stop = StopSignals(
        on_stop=progress.stopping, abort=partial(leave_at_once, told="nothing was reported")
    )
    with stop, progress:
        progress.start(comparison)
        stop.attach(comparison)
        comparison.run()
    record = comparison_record(job, asked.named, comparison)
    if record["records"] and not record["events"]:
        reason, count = next(iter(record["dead_letters"].items()))
        raise NoUsableEventError(
            f"none of {record['records']:,} records could be used; {count:,} x {reason}; see "
            "--map if the fields have other names"
        )
    if not asked.is_quiet:
        _tell(terminal, record)
    return record, stop.exit_status if comparison.is_stopped else 0


def _tell(terminal: Terminal, record: "Record") -> None:
    from stream.comparing.tables import (
        cost_table,
        differences_table,
        drift_lines,
        others_table,
        seeds_table,
        settings_table,
    )

    if not record["settings"]:
        terminal.warn("warning: A and B have the same settings: every difference is 0")
    if record["is_stopped"]:
        terminal.warn(f"stopped: what follows is of the first {record['events']:,} events")
    differences = differences_table(record)
    if differences is None:
        terminal.tell("No click was judged: there is nothing to compare by.")
    tables = (settings_table(record), differences, others_table(record), seeds_table(record))
    for table in tables:
        if table is not None:
            terminal.out.print(table)
            terminal.tell("")
    for line in drift_lines(record):
        terminal.tell(line)
    if record["unpaired"]:
        terminal.tell(f"{record['unpaired']:,} samples are judged by one side alone: left out")
    terminal.tell("")
    terminal.out.print(cost_table(record))


def _write_page(terminal: Terminal, record: "Record", out: Path, is_quiet: bool) -> None:
    from stream.comparison_report import write_comparison

    path = write_comparison(record, out)
    if not is_quiet:
        terminal.tell(f"report        {path}")


def _told_apart(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The settings that stand first, and the events behind them."""
    is_config = [path.lower().endswith(_CONFIG_ENDINGS) for path in paths]
    n_configs = is_config.index(False) if False in is_config else len(paths)
    if n_configs > 2 or any(is_config[n_configs:]):
        raise UsageError(
            f"{' '.join(paths)}: expected at most two files of settings ({_CONFIG_ENDINGS[0]}), "
            "and events behind them"
        )
    if n_configs == len(paths):
        raise UsageError(f"{' '.join(paths)}: name files of events behind the settings")
    return [Path(path) for path in paths[:n_configs]], list(paths[n_configs:])


def _read(side: str, path: Path | None, overrides: Sequence[str]) -> "FreshrankConfig":
    from stream.config import FreshrankConfig

    try:
        return read_settings(FreshrankConfig, path, overrides)
    except ConfigError as err:
        lines = (f"{side}: {line}" for line in str(err).splitlines())
        raise ConfigError("\n".join(lines)) from err


def _name(files: Sequence[Path], overrides: Sequence[str] | None) -> str:
    """What a side is called: its file, and what was set for it alone."""
    return " ".join([*(file.name for file in files), *(overrides or [])]) or "defaults"


def _seeds(text: str | None) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text is not None else []
    if not all(part.isascii() and part.isdecimal() and int(part) < 1 << 31 for part in parts):
        raise UsageError(
            f"--seeds {text}: expected whole numbers from 0 on, separated by commas, such as 0,1,2"
        )
    return tuple(int(part) for part in parts)
