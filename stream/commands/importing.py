"""`freshrank import`: public click logs become files of events."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.commands.terminal import examples, terminal_of
from stream.errors import UsageError
from stream.tables import size_text

EXAMPLES = examples(
    "freshrank import movielens ml-100k/ ml-100k.jsonl.zst",
    "freshrank import diginetica diginetica/ clicks.jsonl.zst --periods 0,1,2",
    "freshrank import open-bandit bts-men.csv.gz impressions.jsonl --no-catalogue",
)


# Each parameter is an option.
def import_log(  # noqa: PLR0913
    ctx: typer.Context,
    format_name: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help="movielens, diginetica or open-bandit."),
    ],
    source: Annotated[Path, typer.Argument(metavar="IN", help="The log: its folder or file.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A .jsonl file, also with .gz or .zst.")
    ],
    no_catalogue: Annotated[
        bool,
        typer.Option("--no-catalogue", help="Leave out items and users.", metavar=""),
    ] = False,
    targets: Annotated[
        bool,
        typer.Option(
            "--targets",
            help="Of open-bandit: say how likely the other policy would have shown each item.",
            metavar="",
        ),
    ] = False,
    periods: Annotated[
        str | None,
        typer.Option("--periods", metavar="N,N,...", help="Of diginetica: only these periods."),
    ] = None,
) -> None:
    """Turn a public click log into a file of events, in order of time."""
    from stream.importers.registry import import_events

    terminal = terminal_of(ctx)
    options: dict[str, Any] = {}
    if no_catalogue:
        options["with_catalogue"] = False
    if targets:
        options["with_targets"] = True
    if periods is not None:
        options["periods"] = _numbers(periods)
    if target.exists():
        raise UsageError(f"{target}: exists already; remove it, or name another file")
    counts = import_events(format_name, source, target, **options)
    by_type = ", ".join(f"{count:,} {kind}" for kind, count in counts.n_by_type.items())
    terminal.tell(f"{target}, {size_text(target.stat().st_size)}")
    terminal.tell(f"  {counts.n_events:,} events: {by_type}")
    if counts.n_bad_rows:
        terminal.warn(f"warning: {counts.n_bad_rows:,} rows could not be used; the first:")
        for reason in counts.first_bad_rows:
            terminal.warn(f"  {reason}")
    terminal.tell(f"try: freshrank replay {shlex.quote(str(target))}")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as err:
        raise UsageError(
            f"--periods {text}: expected numbers separated by commas, such as 0,1,2"
        ) from err
