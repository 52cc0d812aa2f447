"""`freshrank replay`: learn from files of events, and be judged on each of them before."""

import json
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stream.commands.options import (
    ConfigOption,
    FromOption,
    MapOption,
    SetOption,
    UntilOption,
    above_zero,
    columns_of,
    time_ms,
)
from stream.commands.stopping import StopSignals
from stream.commands.telling import alerts_on
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import NoUsableEventError
from stream.progress import Progress, done_ratio
from stream.settings import read_settings
from stream.sources.inputs import STDIN
from stream.tables import alerts_table, clicks_table, facts_table, ranking_table

if TYPE_CHECKING:
    from stream.config import FreshrankConfig
    from stream.pipeline import Pipeline
    from stream.replay import Summary
    from stream.values import Batch

DEAD_LETTERS_FILE = "dead_letters.jsonl"

EXAMPLES = examples(
    "freshrank replay 'events/*.jsonl.zst'",
    "freshrank replay log.csv --map user=visitorid,item=itemid,ts=timestamp",
    "freshrank replay events.jsonl --config freshrank.yaml --out runs/today",
    "freshrank replay events.jsonl --from 2024-01-01 --until 2024-02-01 --speed 60",
    "freshrank replay events.jsonl --out runs/today --resume",
)


# Each parameter is an option.
def replay(  # noqa: PLR0913
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS",
            help="Files, globs, or - for standard input: JSON lines, CSV, TSV (each also with "
            ".gz or .zst) or Parquet.",
        ),
    ],
    config: ConfigOption = None,
    overrides: SetOption = None,
    columns: MapOption = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the outputs go.")
    ] = Path("runs/replay"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out.", metavar="")
    ] = False,
    since: FromOption = None,
    until: UntilOption = None,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed",
            metavar="X",
            help="Pace events at X times the speed they happened at; else as fast as possible.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help="Stop after N records."),
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Write report.html when it is done.", metavar="")
    ] = True,
    deliver: Annotated[
        bool,
        typer.Option(
            "--deliver", help="Tell those of alerts whom alerts.deliver names.", metavar=""
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only; see summary.json.", metavar=""),
    ] = False,
) -> None:
    """Replay files of events: predict each click, judge the prediction, then learn from it.

    The same events give the same metrics and weights on every run. With --resume and no --config
    the settings are those of the run in --out.
    """
    from stream.config import FreshrankConfig
    from stream.run_folder import settings_of_run

    terminal = terminal_of(ctx)
    given = {
        "from_ms": time_ms("--from", since),
        "until_ms": time_ms("--until", until),
        "speed": above_zero("--speed", speed),
        "limit": limit,
        **{f"map.{name}": column for name, column in columns_of(columns).items()},
    }
    of_source = [f"source.{k}={json.dumps(v)}" for k, v in given.items() if v is not None]
    keys = [*(overrides or []), *of_source]
    if resume and config is None:
        settings = settings_of_run(out, keys)
    else:
        settings = read_settings(FreshrankConfig, config, keys)
    job = Watched(
        settings, paths, out, resume, quiet, _resume_args(terminal.args), is_delivering=deliver
    )
    run_watched(terminal, job)
    if report:
        tell_report(terminal, out, is_quiet=quiet)


@dataclass(frozen=True, slots=True)
class Watched:
    """A replay that somebody watches.

    `resume_args` is what goes on with it if it is stopped; `n_records` says how many records
    there are, where that is known.
    """

    config: "FreshrankConfig"
    paths: Sequence[str]
    out: Path
    resume: bool
    is_quiet: bool
    resume_args: Sequence[str]
    n_records: int | None = None
    is_delivering: bool = False


def run_watched(terminal: Terminal, job: Watched) -> "Summary":
    """Replay with progress, print what came out, and stop in good order on a signal.

    Raises
    ------
    typer.Exit
        If a signal stopped it: 130 for SIGINT, 143 for SIGTERM.
    """
    from stream.replay import Replay, run_replay
    from stream.run_folder import resolved
    from stream.sources.file import FileSource

    config = resolved(job.config, job.out, job.resume)
    n_records = config.source.limit or job.n_records
    progress = Progress(
        Console(stderr=True, quiet=True) if job.is_quiet else terminal.err,
        figure=f"recall@{max(config.ranking.ks)}",
        done_ratio=lambda n_done: done_ratio(source, n_done, n_records),
    )
    stop = StopSignals(on_stop=progress.stopping)
    source = FileSource(config.source, job.paths, config.batch, sleep=stop.sleep)

    def on_start(pipeline: "Pipeline", warnings: list[str]) -> None:
        for warning in warnings:
            terminal.warn(f"warning: {warning}")
        progress.start(pipeline)
        stop.attach(pipeline)

    def on_batch(batch: "Batch | None", pipeline: "Pipeline") -> None:
        if batch and batch.seq == 0 and _looks_like_seconds(batch.watermark_ms):
            terminal.warn(
                f"warning: ts {batch.watermark_ms} is taken for milliseconds and lies in 1970; "
                "if these are seconds, multiply them by 1000"
            )
        progress.update(pipeline)

    watching = nullcontext() if job.is_quiet else alerts_on(terminal)
    with stop, progress, watching:
        summary = run_replay(
            Replay(config, source, job.out, job.resume, source.paths, job.is_delivering),
            on_batch=on_batch,
            on_start=on_start,
        )
    if not job.is_quiet:
        _tell(terminal, summary, config.champion, job.out)
    if summary.is_stopped:
        terminal.warn(_how_to_resume(job))
        raise typer.Exit(stop.exit_status)
    _refuse_nothing_usable(summary, job.out)
    return summary


def tell_report(
    terminal: Terminal, out: Path, truth: Path | None = None, is_quiet: bool = False
) -> None:
    """Write the report of a run, and say where it lies."""
    from stream.report import write_report

    path = write_report(out, truth)
    if not is_quiet:
        terminal.tell(f"report        {path}")


def _refuse_nothing_usable(summary: "Summary", out: Path) -> None:
    """Fail a run all of whose records were bad: the input is not what it was taken for."""
    record = summary.record
    if record["records"] and not record["events"]:
        reason, count = next(iter(record["dead_letters"].items()))
        raise NoUsableEventError(
            f"none of {record['records']:,} records could be used; {count:,} x {reason}; see "
            f"{out / DEAD_LETTERS_FILE}, and --map if the fields have other names"
        )


def _looks_like_seconds(watermark_ms: int) -> bool:
    """Whether a time that was taken for milliseconds would lie in 2001 .. 2039 as seconds."""
    return 1_000_000_000 <= watermark_ms < 2_200_000_000


def _tell(terminal: Terminal, summary: "Summary", champion: str, out: Path) -> None:
    ranking = ranking_table(summary.record, champion)
    if ranking is None:
        terminal.tell("No click was judged: there is nothing to rank the learners by.")
    for table in (ranking, clicks_table(summary.record), alerts_table(summary.record)):
        if table is not None:
            terminal.out.print(table)
            terminal.tell("")
    terminal.out.print(facts_table(summary.record, out))


def _resume_args(args: Sequence[str]) -> list[str]:
    command, *rest = args
    return [command, *([] if "--resume" in rest else ["--resume"]), *rest]


def _how_to_resume(job: Watched) -> str:
    if STDIN in job.paths:
        return "stopped; a replay of standard input cannot be resumed"
    return f"stopped; go on with:\n  {shlex.join(['freshrank', *job.resume_args])}"
