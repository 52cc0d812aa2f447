"""`freshrank replay`: learn from files of events, and be judged on each of them before."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stream.commands.stopping import StopSignals
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import UsageError
from stream.progress import Progress
from stream.settings import read_settings
from stream.tables import facts_table, ranking_table

if TYPE_CHECKING:
    from stream.config import FreshrankConfig
    from stream.replay import Summary
    from stream.sources.file import FileSource

EXAMPLES = examples(
    "freshrank replay 'events/*.jsonl.zst'",
    "freshrank replay log.csv --map user=visitorid,item=itemid,ts=timestamp",
    "freshrank replay events.jsonl --config freshrank.yaml --out runs/today",
    "freshrank replay events.jsonl --from 2024-01-01 --until 2024-02-01 --speed 60",
    "freshrank replay events.jsonl --out runs/today --resume",
)


def replay(  # noqa: PLR0913: each parameter is an option
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="Files, globs, or - for standard input: JSON lines, CSV, TSV (each also with "
            ".gz or .zst) or Parquet.",
        ),
    ],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="A YAML file of settings.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Set one key, such as learner.width=128; may be given many times.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN,...",
            help="Columns (or JSON fields) that hold an event's fields.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the outputs go.")
    ] = Path("runs/replay"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out.", show_default=False)
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="First event time: ISO 8601, or ms."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Event time to stop before."),
    ] = None,
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
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print errors only; see summary.json.", show_default=False
        ),
    ] = False,
) -> None:
    """Replay files of events: predict each click, judge the prediction, then learn from it.

    The same events give the same metrics and weights on every run.
    """
    given = {"speed": speed, "limit": limit, **_times(since, until), **_columns(columns)}
    source = [f"source.{key}={json.dumps(value)}" for key, value in given.items() if value]
    from stream.config import FreshrankConfig

    terminal = terminal_of(ctx)
    settings = read_settings(FreshrankConfig, config, [*(overrides or []), *source])
    run_watched(
        terminal,
        Watched(settings, paths, out, resume, quiet, resume_args=_resume_args(terminal.args)),
    )


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


def run_watched(terminal: Terminal, job: Watched) -> "Summary":
    """Replay with progress, print what came out, and stop in good order on a signal.

    Raises
    ------
    typer.Exit
        If a signal stopped it: 130 for SIGINT, 143 for SIGTERM.
    """
    from stream.replay import Replay, resolved, run_replay
    from stream.sources.file import FileSource

    config = resolved(job.config, job.out, job.resume)
    progress_console = Console(stderr=True, quiet=True) if job.is_quiet else terminal.err
    stop = StopSignals()
    source = FileSource(config.source, job.paths, config.batch, sleep=stop.sleep)
    n_records = config.source.limit or job.n_records
    progress = Progress(
        progress_console,
        figure=f"recall@{max(config.ranking.ks)}",
        done_ratio=lambda n_done: _done_ratio(source, n_done, n_records),
    )
    stop.on_stop = progress.stopping
    with stop, progress:
        summary = run_replay(
            Replay(config, source, job.out, job.resume),
            on_batch=lambda _batch, pipeline: progress.update(pipeline),
            on_start=lambda pipeline: (progress.start(pipeline), stop.attach(pipeline)),
        )
    for warning in summary.warnings:
        terminal.warn(f"warning: {warning}")
    if not job.is_quiet:
        _tell(terminal, summary, config.champion, job.out)
    if summary.is_stopped:
        terminal.warn(f"stopped; {_how_to_resume(job)}")
        raise typer.Exit(stop.exit_status)
    return summary
