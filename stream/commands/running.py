"""`freshrank run`: learn from topics of Kafka, for as long as it is let run."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import NeededConfigOption, SetOption
from stream.commands.stopping import DaemonSignals
from stream.commands.terminal import examples
from stream.errors import FreshrankError
from stream.settings import read_settings

LOGGER = logging.getLogger("freshrank.daemon")

EXAMPLES = examples(
    "freshrank run --config freshrank.yaml",
    "freshrank run --config freshrank.yaml --out /var/lib/freshrank --set log.format=json",
    "freshrank check freshrank.yaml --connect",
)


def run(
    config: NeededConfigOption,
    overrides: SetOption = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The run's folder; one that holds a run is gone on with.",
        ),
    ] = Path("runs/live"),
) -> None:
    """Learn from topics of Kafka, and be judged on each click before.

    A run that was stopped or killed goes on where it was: the same command again. SIGTERM and
    Ctrl-C finish the batch, write a checkpoint and end; SIGHUP reads alert rules and log level
    again; SIGUSR1 takes a checkpoint.
    """
    from stream.config import FreshrankConfig
    from stream.daemon import Daemon, DaemonJob
    from stream.live.logs import configure_logs
    from stream.run_folder import holds_run, resolved

    settings = read_settings(FreshrankConfig, config, overrides or ())
    settings = resolved(settings, out, resume=holds_run(out))
    daemon = Daemon(DaemonJob(settings, config, tuple(overrides or ()), out))
    configure_logs(settings.log)
    with DaemonSignals(daemon):
        try:
            daemon.run()
        except FreshrankError as err:
            LOGGER.error("%s", err)
            raise typer.Exit(err.exit_status) from err
