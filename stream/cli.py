"""The command line: parse, run, and turn errors into exit statuses.

    0  fine    1  the run failed    2  wrong use    130, 143  stopped by Ctrl-C, by SIGTERM

Commands import what is heavy only when they run: help answers at once.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from stream.commands import (
    checking,
    comparing,
    demo,
    exporting,
    importing,
    inspecting,
    pretraining,
    producing,
    replay,
    report,
    reproduce,
    running,
    simulate,
    testing_alerts,
)
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import FreshrankError

app = typer.Typer(
    name="freshrank",
    # What is unexpected ends in Python's own traceback.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("freshrank demo", "freshrank replay events/*.jsonl.zst"),
)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("replay", epilog=replay.EXAMPLES)(replay.replay)
app.command("compare", epilog=comparing.EXAMPLES)(comparing.compare)
app.command("run", epilog=running.EXAMPLES)(running.run)
app.command("pretrain", epilog=pretraining.EXAMPLES)(pretraining.pretrain)
app.command("produce", epilog=producing.EXAMPLES)(producing.produce)
app.command("report", epilog=report.EXAMPLES)(report.report)
app.command("export", epilog=exporting.EXAMPLES)(exporting.export)
app.command("simulate", epilog=simulate.EXAMPLES)(simulate.simulate)
app.command("import", epilog=importing.EXAMPLES)(importing.import_log)
app.command("check", epilog=checking.EXAMPLES)(checking.check)
app.command("test-alerts", epilog=testing_alerts.EXAMPLES)(testing_alerts.try_alerts)
app.command("inspect", epilog=inspecting.EXAMPLES)(inspecting.inspect)
app.command("reproduce", epilog=reproduce.EXAMPLES)(reproduce.reproduce)


def main() -> None:
    """The program `freshrank`."""
    # OpenMP reads it when torch is imported. Threads that spin while they wait take the core from
    # whoever else wants it: on two busy cores a run took twenty times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line; the exit status.

    Examples
    --------
    >>> run(["--version"])
    freshrank ...
    0
    """
    terminal = Terminal(out=Console(), err=Console(stderr=True), args=tuple(args))
    try:
        status = app(
            args=list(args) or ["--help"],
            prog_name="freshrank",
            standalone_mode=False,
            obj=terminal,
        )
    except FreshrankError as err:
        terminal.complain(str(err))
        return err.exit_status
    except typer.TyperException as err:
        terminal.complain(err.format_message())
        if context := getattr(err, "ctx", None):
            terminal.warn(f"see: {context.command_path} --help")
        return err.exit_code
    return int(status or 0)


def _tell_version(ctx: typer.Context, is_asked: bool) -> None:
    if is_asked:
        terminal_of(ctx).tell(f"freshrank {version('freshrank')}")
        raise typer.Exit


@app.callback()
def _freshrank(
    # Its callback answers it.
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_tell_version,
            is_eager=True,
            help="Print the version.",
            metavar="",
        ),
    ] = False,
) -> None:
    """A recommender that learns from every click and measures itself before it learns."""
