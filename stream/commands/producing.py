"""`freshrank produce`: files of events onto a Kafka topic."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.commands.options import (
    FromOption,
    MapOption,
    UntilOption,
    above_zero,
    columns_of,
    time_ms,
)
from stream.commands.stopping import StopSignals, leave_at_once
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.durations import lasted_text
from stream.errors import ConfigError, KafkaError, NoUsableEventError, SinkError, UsageError
from stream.progress import Progress
from stream.settings import read_settings

if TYPE_CHECKING:
    from stream.kafka.cluster.connection import ConnectionConfig
    from stream.kafka.outbox import Outbox
    from stream.kafka.producing import Production
    from stream.sources.file import FileSource, FileSourceConfig

_MAX_PARTITIONS_TOLD = 16
_MAX_REASONS_TOLD = 10
_TRY_EVERY_S = 1.0
_LEFT_OPEN = "the last events handed over may be on the topic or not"

EXAMPLES = examples(
    "freshrank produce events.jsonl.zst --topic clicks --bootstrap localhost:9092",
    "freshrank produce 'events/*.parquet' --topic clicks --config freshrank.yaml --speed 60",
    "freshrank produce events.jsonl --topic clicks --bootstrap localhost:9092 --create 4 "
    "--speed 1 --now",
    "freshrank produce broken.jsonl --topic clicks --bootstrap localhost:9092 --raw",
)


# Each parameter is an option.
def produce(  # noqa: PLR0913
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="Files, globs, or - for standard input: JSON lines, CSV, TSV (each also with "
            ".gz or .zst) or Parquet.",
        ),
    ],
    topic: Annotated[str, typer.Option("--topic", "-t", metavar="TOPIC", help="Where they go.")],
    bootstrap: Annotated[
        str | None,
        typer.Option("--bootstrap", "-b", metavar="HOST:PORT", help="A broker of the cluster."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Connect as its source.kafka.connection says, instead of --bootstrap.",
        ),
    ] = None,
    create: Annotated[
        int | None,
        typer.Option(
            "--create", metavar="PARTITIONS", min=1, help="Create the topic if it is missing."
        ),
    ] = None,
    columns: MapOption = None,
    since: FromOption = None,
    until: UntilOption = None,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed",
            metavar="X",
            help="Send events at X times the speed they happened at (60: an hour in a minute); "
            "else as fast as possible.",
        ),
    ] = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Move all event times by one constant, so that the first event happens now. "
            "Old events are months late by the wall clock, and that is what lag and silence are "
            "told by; with --speed 1 --now a stream is as it would be live.",
            metavar="",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help="Stop after N records."),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Send JSON lines byte for byte, bad ones too: for trying out dead letters.",
            metavar="",
        ),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait", metavar="SECONDS", min=0, help="Wait so long for brokers that are not up yet."
        ),
    ] = 30.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only.", metavar="")
    ] = False,
) -> None:
    """Put files of events onto a Kafka topic, as they happened or as fast as it goes.

    Files are merged by event time, and an event's key is its user (of an item upsert, the item):
    what belongs to a user stays in order, and a second run puts the same messages into the same
    partitions. Kafka's own time of a message is the time of its production.
    """
    terminal = terminal_of(ctx)
    given = {
        "from_ms": time_ms("--from", since),
        "until_ms": time_ms("--until", until),
        "speed": above_zero("--speed", speed),
        "limit": limit,
        **{f"map.{name}": column for name, column in columns_of(columns).items()},
    }
    job = _Job(
        connection=_connection(bootstrap, config),
        topic=topic,
        create_partitions=create,
        wait_s=wait,
        paths=paths,
        reading=_reading(paths, given, is_raw=raw, is_now=now),
        is_raw=raw,
        is_now=now,
    )
    try:
        _run(terminal, job, is_quiet=quiet)
    except (KafkaError, SinkError) as err:
        if config is not None:
            raise
        told = str(err).replace("source.kafka.connection.bootstrap", "--bootstrap")
        raise type(err)(told) from err


@dataclass(frozen=True, slots=True)
class _Job:
    """What goes where, and how."""

    connection: "ConnectionConfig"
    topic: str
    create_partitions: int | None
    wait_s: float
    paths: list[str]
    reading: "FileSourceConfig"
    is_raw: bool
    is_now: bool


@dataclass(frozen=True, slots=True)
class _Watched:
    """A production as `Progress` asks for it: nothing is judged."""

    production: "Production"

    @property
    def n_events(self) -> int:
        return self.production.n_events

    @property
    def n_records(self) -> int:
        return self.production.n_records

    def metrics(self) -> dict[str, Any]:
        return {"metrics": {}}


def _connection(bootstrap: str | None, config: Path | None) -> "ConnectionConfig":
    from stream.kafka.cluster.connection import ConnectionConfig

    if (bootstrap is None) == (config is None):
        raise UsageError("expected one of --bootstrap HOST:PORT and --config FILE")
    if config is None:
        try:
            return ConnectionConfig.model_validate({"bootstrap": bootstrap})
        except ValidationError as err:
            reason = err.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"--bootstrap: {reason}") from err
    from stream.config import FreshrankConfig

    kafka = read_settings(FreshrankConfig, config).source.kafka
    if kafka is None:
        raise ConfigError(
            f"{config}: has no source.kafka.connection; set its bootstrap, or give --bootstrap"
        )
    return kafka.connection


def _reading(
    paths: list[str], given: Mapping[str, object], *, is_raw: bool, is_now: bool
) -> "FileSourceConfig":
    from stream.sources.file import FileSourceConfig
    from stream.sources.inputs import find_inputs

    if is_raw and is_now:
        raise UsageError("--raw sends what was read as it is; leave out --now, or --raw")
    for found in find_inputs(paths) if is_raw else ():
        if found.format != "jsonl":
            raise UsageError(f"{found.path}: --raw sends JSON lines; leave it out for other files")
    settings = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    return read_settings(FileSourceConfig, None, settings)


def _run(terminal: Terminal, job: _Job, *, is_quiet: bool) -> None:
    """Send it all, say what was sent, and end in good order on a signal."""
    from stream.kafka.outbox import moment_text
    from stream.kafka.producing import Production
    from stream.sources.file import FileSource, Pace

    source = FileSource(job.reading, job.paths)
    progress = Progress(
        Console(stderr=True, quiet=True) if is_quiet else terminal.err,
        figure="",
        done_ratio=lambda n_done: _done_ratio(source, n_done, job.reading.limit),
        name="produce",
    )
    stop = StopSignals(abort=partial(leave_at_once, told=_LEFT_OPEN))
    pace = Pace(job.reading.speed, time.monotonic, stop.sleep)

    def wait_for(due_ms: int) -> None:
        if job.reading.speed is not None:
            progress.update(watched)  # a run of records may take long
            pace.wait_for(due_ms)

    def on_run() -> None:
        progress.update(watched)
        if production.is_stopped and not is_quiet:
            terminal.warn("stopping: delivering the last events; Ctrl-C again to abort at once")

    with stop, ExitStack() as stack:
        outbox = _opened_when_up(terminal, job, stop, stack)
        now_ms = _now_ms if job.is_now else None
        production = Production(outbox, wait_for, is_raw=job.is_raw, now_ms=now_ms)
        watched = _Watched(production)
        stop.attach(production)
        began_s = time.monotonic()
        with progress:
            progress.start(watched)
            production.run(source.records(), source.paths, on_run)
        took_s = time.monotonic() - began_s
    if not is_quiet:
        terminal.out.print(_facts_table(job, outbox, production, took_s))
        for text in production.bad.texts()[:_MAX_REASONS_TOLD]:
            terminal.tell(f"  {text}")
    if production.is_stopped:
        terminal.warn(
            f"stopped: {outbox.n_delivered:,} events were delivered, up to event time "
            f"{moment_text(outbox.delivered_to_ms)}"
        )
        raise typer.Exit(stop.exit_status)
    if production.n_records and not production.n_events:
        raise NoUsableEventError(
            f"none of {production.n_records:,} records could be used; "
            f"{production.bad.texts()[0]}; see --map if the fields have other names"
        )


def _opened_when_up(terminal: Terminal, job: _Job, stop: StopSignals, stack: ExitStack) -> "Outbox":
    """The topic, once a broker answers: one that was started a moment ago needs some seconds."""
    from stream.kafka.cluster.connection import is_temporary
    from stream.kafka.outbox import open_outbox

    deadline_s = time.monotonic() + job.wait_s
    is_told = False
    while True:
        try:
            return stack.enter_context(
                open_outbox(job.connection, job.topic, job.create_partitions)
            )
        except KafkaError as err:
            is_over = stop.exit_status or time.monotonic() >= deadline_s
            if is_over or not is_temporary(err):
                raise
            if not is_told:
                terminal.warn(f"no broker answers yet; waiting for up to {job.wait_s:g} s")
            is_told = True
            stop.sleep(_TRY_EVERY_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _done_ratio(source: "FileSource", n_done: int, limit: int | None) -> float | None:
    """By records where a limit says how many; a file may end before it."""
    if limit:
        return min(n_done / limit, 1.0)
    return min(source.bytes_read / source.total_bytes, 1.0) if source.total_bytes else None


def _facts_table(job: _Job, outbox: "Outbox", production: "Production", took_s: float) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    rate = f" ({outbox.n_delivered / took_s:,.0f} events/s)" if outbox.n_delivered else ""
    table.add_row("events", f"{outbox.n_delivered:,} in {took_s:,.1f} s{rate}")
    table.add_row("topic", Text(f"{job.topic}, by partition: {_partitions_text(outbox)}"))
    if production.shift_ms is not None:
        way = "later" if production.shift_ms >= 0 else "earlier"
        table.add_row("event times", f"moved {lasted_text(abs(production.shift_ms))} {way}")
    what = "bad, sent too" if job.is_raw else "bad records"
    table.add_row(what, f"{production.bad.n_records:,}")
    return table


def _partitions_text(outbox: "Outbox") -> str:
    counts = [outbox.n_by_partition[partition] for partition in outbox.partitions]
    if len(counts) > _MAX_PARTITIONS_TOLD:
        return f"{min(counts):,} to {max(counts):,} on each of {len(counts)}"
    return ", ".join(f"{count:,}" for count in counts)
