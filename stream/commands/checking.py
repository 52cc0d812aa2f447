"""`freshrank check`: says whether a configuration is valid, and what it comes to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import ConfigError
from stream.settings import read_settings

if TYPE_CHECKING:
    from stream.config import FreshrankConfig
    from stream.kafka.checking import Check

EXAMPLES = examples(
    "freshrank check freshrank.yaml",
    "freshrank check freshrank.yaml --show > complete.yaml",
    "freshrank check freshrank.yaml --connect",
)


def check(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file of settings.")],
    show: Annotated[
        bool,
        typer.Option("--show", help="Print all settings as YAML, defaults included.", metavar=""),
    ] = False,
    is_connecting: Annotated[
        bool,
        typer.Option(
            "--connect",
            help="Try brokers, topics, permissions, folders and destinations of alerts too; "
            "nothing is consumed, and no alert is sent.",
            metavar="",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="With --connect: the run's folder.")
    ] = Path("runs/live"),
) -> None:
    """Validate a configuration, without running anything."""
    from stream.config import FreshrankConfig

    terminal = terminal_of(ctx)
    settings = read_settings(FreshrankConfig, config)
    if show:
        values = settings.model_dump(mode="json")
        terminal.tell(yaml.safe_dump(values, sort_keys=False).rstrip("\n"))
    else:
        terminal.tell(f"{config}: valid")
    if is_connecting and not _passes(terminal, settings, config, out):
        raise typer.Exit(1)


def _passes(terminal: Terminal, settings: "FreshrankConfig", path: Path, out: Path) -> bool:
    """Whether a run would find what it needs; every check is printed."""
    from stream.delivery.checking import check_destinations
    from stream.kafka.checking import check_connection, check_folder

    kafka, outputs = settings.source.kafka, settings.outputs.kafka
    destinations = settings.alerts.deliver
    if kafka is None and not destinations:
        raise ConfigError(
            f"{path}: has no source.kafka and no alerts.deliver, so --connect has nothing to try; "
            "write for example "
            "source: {kafka: {connection: {bootstrap: 'localhost:9092'}, topics: [clicks]}}"
        )
    checks = []
    if kafka is not None:
        checks += check_connection(
            kafka.connection,
            [topic.name for topic in kafka.topics],
            outputs.topics() if outputs else None,
            outputs.connection if outputs else None,
            kafka.group,
        )
    checks += check_destinations(destinations)
    checks.append(check_folder(out, "--out"))
    checkpoints = out / settings.checkpoint.dir
    # A path of its own, such as a faster disk.
    if not checkpoints.is_relative_to(out):
        checks.append(check_folder(checkpoints, "checkpoint.dir"))
    _tell(terminal, checks)
    return all(one.outcome in ("ok", "warning") for one in checks)


def _tell(terminal: Terminal, checks: "list[Check]") -> None:
    """One line a check. A pipe gets the same text: nothing is cut to a width."""
    outcome_chars = max(len(one.outcome) for one in checks)
    subject_chars = max(len(one.subject) for one in checks)
    for one in checks:
        line = f"{one.outcome:{outcome_chars}}  {one.subject:{subject_chars}}  {one.text}"
        terminal.tell(line.rstrip())
