"""`freshrank export`: a run's metrics and alerts as Parquet."""

from pathlib import Path
from typing import Annotated

import typer

from stream.commands.terminal import examples, terminal_of
from stream.errors import UsageError
from stream.tables import size_text

EXAMPLES = examples(
    "freshrank export runs/replay",
    "freshrank export runs/replay --to metrics.parquet --alerts alerts.parquet",
)


def export(
    ctx: typer.Context,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Where the metrics go. \\[default: metrics.parquet in RUN]",
        ),
    ] = None,
    alerts: Annotated[
        Path | None,
        typer.Option(
            "--alerts",
            metavar="FILE",
            help="Where the alerts go. \\[default: alerts.parquet beside the metrics]",
        ),
    ] = None,
) -> None:
    """Write a run's metrics and alerts as Parquet: a row for each figure, window and record.

    The columns are told in the README, under Metrics as tables.
    """
    from stream.exporting import export_run

    terminal = terminal_of(ctx)
    for file in (to, alerts):
        if file is not None and file.is_dir():
            raise UsageError(f"{file}: is a folder; name a file, such as {file / 'm.parquet'}")
    for written in export_run(run, to or run / "metrics.parquet", alerts):
        size = size_text(written.path.stat().st_size)
        terminal.tell(f"{written.path}, {written.n_rows:,} rows, {size}")
        if written.n_passed_by:
            terminal.warn(
                f"warning: {written.n_passed_by:,} lines behind {written.path.name} are no JSON "
                "objects and were passed by"
            )
