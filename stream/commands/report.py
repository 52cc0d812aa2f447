"""`freshrank report`: one page on a run, for a browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.terminal import examples, terminal_of
from stream.errors import UsageError
from stream.tables import size_text

EXAMPLES = examples(
    "freshrank report runs/replay",
    "freshrank report demo/run --truth demo/events/truth.jsonl --open",
    "freshrank report runs/replay --out today.html",
)


def report(
    ctx: typer.Context,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="A simulation's truth.jsonl: marks what is known to have changed.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the page goes. \\[default: report.html in RUN]",
        ),
    ] = None,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Open it in the browser.", metavar="")
    ] = False,
) -> None:
    """Write a page with a run's figures, alerts and settings: one file, without a network."""
    from stream.report import write_report

    terminal = terminal_of(ctx)
    if out is not None and out.is_dir():
        raise UsageError(f"{out}: is a folder; name a file, such as {out / 'report.html'}")
    path = write_report(run, truth, out)
    terminal.tell(f"{path}, {size_text(path.stat().st_size)}")
    if is_opened and not webbrowser.open(path.resolve().as_uri()):
        terminal.warn(f"no browser could be started; open {path} yourself")
