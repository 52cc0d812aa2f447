"""`freshrank check`: says whether a configuration is valid, and what it comes to."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from stream.commands.terminal import examples, terminal_of
from stream.settings import read_settings

EXAMPLES = examples(
    "freshrank check freshrank.yaml",
    "freshrank check freshrank.yaml --show > complete.yaml",
)


def check(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file of settings.")],
    show: Annotated[
        bool,
        typer.Option("--show", help="Print all settings as YAML, defaults included.", metavar=""),
    ] = False,
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
