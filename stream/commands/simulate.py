"""`freshrank simulate`: events of a shop that does not exist, with the truth behind them."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import SinkError, UsageError
from stream.settings import read_settings
from stream.tables import size_text

if TYPE_CHECKING:
    from stream.sources.simulator import SimulationPaths, SimulatorConfig

EXAMPLES = examples(
    "freshrank simulate shop",
    "freshrank simulate shop --seed 7 --clicks 200000 --users 5000 --days 30",
    "freshrank simulate shop --set switching_ratio=0.5 --set switch_day=4",
    "freshrank simulate shop --set 'events=[{kind: broken_policy, day: 5, days: 1}]'",
)


# Each parameter is an option.
def simulate(  # noqa: PLR0913
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Other seeds, other shops. \\[default: 0]"),
    ] = None,
    clicks: Annotated[
        int | None,
        typer.Option(
            "--clicks",
            "--events",
            min=1,
            metavar="N",
            help="Clicks beside those on lists shown. \\[default: 60000]",
        ),
    ] = None,
    users: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Users. \\[default: 2000]")
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Items. \\[default: 1000]")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Days. \\[default: 14]")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Set any key of the simulator, such as drift_ratio=0.5 or requests_per_session=0.",
        ),
    ] = None,
) -> None:
    """Simulate a shop: what its users are shown, click and buy, and how their taste changes.

    --set events=[...] schedules what happens to it: a taste_shift, broken_policy,
    catalogue_switch or tracking_outage, on a day, for some days, to a share. What was true is
    written beside the events. Equal settings write equal files.
    """
    from stream.sources.simulator import SimulatorConfig

    terminal = terminal_of(ctx)
    given = {"seed": seed, "clicks": clicks, "users": users, "items": items, "days": days}
    settings = [f"{key}={value}" for key, value in given.items() if value is not None]
    config = read_settings(SimulatorConfig, None, [*(overrides or []), *settings])
    paths = write_shop(terminal, config, out)
    terminal.tell(f"try: freshrank replay {shlex.quote(str(paths.events))}")


def write_shop(terminal: Terminal, config: "SimulatorConfig", out: Path) -> "SimulationPaths":
    """Write a simulation and say what was written.

    Raises
    ------
    UsageError
        If the folder holds one of its files already.
    SinkError
        If a file cannot be written.
    """
    from stream.sources.simulator import write_simulation

    for path in (out / "events.jsonl.zst", out / "truth.jsonl"):
        if path.exists():
            raise UsageError(f"{path}: exists already; name another folder, or remove it")
    try:
        paths = write_simulation(config, out)
    except OSError as err:
        raise SinkError(
            f"{out}: cannot be written: {err.strerror}; make room or choose another folder"
        ) from err
    terminal.tell(f"{paths.events}, {size_text(paths.events.stat().st_size)}")
    terminal.tell(f"  {_events_text(paths.events)}")
    terminal.tell(f"{paths.truth}, {size_text(paths.truth.stat().st_size)}")
    n_by_type = count_types(paths.truth)
    by_type = ", ".join(f"{count:,} {kind}" for kind, count in n_by_type.most_common())
    terminal.tell(f"  {n_by_type.total():,} facts behind them: {by_type}")
    return paths


def count_types(path: Path) -> Counter[str]:
    """How many records of each type a file of JSON lines holds, plain or with zstd."""
    return Counter(kind for kind, _ in _kinds(path))


def _events_text(path: Path) -> str:
    n_by_kind = Counter(_kinds(path))
    told = [f"{n_by_kind['click', False]:,} clicks"]
    if n_lists := n_by_kind["impression", True]:
        told.append(f"{n_lists:,} lists shown with {n_by_kind['click', True]:,} clicks on them")
    n_by_type = Counter(kind for kind, _ in n_by_kind.elements())
    for kind, what in (
        *(("conversion", "conversions"), ("feedback", "opinions")),
        *(("item", "items"), ("user", "profiles")),
    ):
        if n_by_type[kind]:
            told.append(f"{n_by_type[kind]:,} {what}")
    return f"{n_by_type.total():,} events: {', '.join(told)}"


def _kinds(path: Path) -> list[tuple[str, bool]]:
    """The type of each record, and whether it names a request."""
    import msgspec
    import zstandard

    class Head(msgspec.Struct):
        type: str
        request_id: str | None = None

    raw = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    heads = msgspec.json.Decoder(Head).decode_lines(raw)
    return [(head.type, head.request_id is not None) for head in heads]
