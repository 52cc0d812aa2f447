"""`freshrank reproduce`: computes a notice again, from the checkpoint and the records behind it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from stream.commands.options import above_zero
from stream.commands.telling import alerts_on
from stream.commands.terminal import Terminal, examples, terminal_of

if TYPE_CHECKING:
    from stream.pipeline import Pipeline
    from stream.reproducing.asked import Range
    from stream.reproducing.comparing import Reproduction
    from stream.values import Batch, Record

EXAMPLES = examples(
    "freshrank reproduce recall_low --run runs/replay",
    "freshrank reproduce recall_low@2 --run runs/live",
    "freshrank reproduce 412:alert:recall_low:firing --run runs/live",
    'freshrank reproduce "$(grep \'"firing"\' runs/live/alerts.jsonl | tail -1)" --run runs/live',
)
_TOLD_EVERY_S = 5.0


def reproduce(
    ctx: typer.Context,
    notice: Annotated[
        str,
        typer.Argument(
            metavar="NOTICE",
            help="A rule (its last firing notice; RULE@2 the second one), a batch, an id "
            "BATCH:NAME, or the JSON line of a notice.",
        ),
    ],
    run: Annotated[
        Path,
        typer.Option(
            "--run", "-r", metavar="FOLDER", help="The folder of the run that told the notice."
        ),
    ],
    wait_s: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="How long to wait for brokers."),
    ] = 30.0,
) -> None:
    """Replay the records behind a notice, from its checkpoint, and compare what comes out.

    Nothing of the run is touched; it may be running. The exit status is 0 if the same notice
    comes out, byte for byte, and 1 if not: then the difference is printed.
    """
    from stream.reproducing.job import read_run
    from stream.reproducing.job import reproduce as computed
    from stream.reproducing.naming import notice_named

    terminal = terminal_of(ctx)
    wait_s = above_zero("--wait", wait_s) or wait_s
    before, told = read_run(run), notice_named(run, notice)
    watching = _Watching(terminal, told)
    with _nothing_else_said(), alerts_on(terminal):
        found = computed(before, told, watching.begin, watching.step, wait_s)
    _tell(terminal, found)
    if not found.is_equal:
        raise typer.Exit(1)


class _Watching:
    """Tells what is compared, and how far it is."""

    def __init__(self, terminal: Terminal, told: "Record") -> None:
        self._terminal = terminal
        self._told = told
        self._last_seq = 0
        self._shown_s = time.monotonic()

    def begin(self, pipeline: "Pipeline", asked: "Range") -> None:
        self._last_seq = asked.last_seq
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="bold", no_wrap=True)
        facts.add_column()
        rows = [
            ("notice", f"{self._told['seq']}:{self._told['name']}"),
            ("checkpoint", asked.anchor or "none: from the beginning of the run"),
            ("batches", f"{pipeline.next_seq} to {asked.last_seq}"),
            *(("records", text) for text in _records_texts(asked)),
        ]
        for name, value in rows:
            facts.add_row(name, Text(value, overflow="fold"))
        self._terminal.out.print(facts)

    def step(self, batch: "Batch | None", pipeline: "Pipeline") -> None:  # noqa: ARG002
        now_s = time.monotonic()
        if now_s - self._shown_s >= _TOLD_EVERY_S:
            self._shown_s = now_s
            self._terminal.warn(f"batch {pipeline.next_seq:,} of {self._last_seq + 1:,}")


def _records_texts(asked: "Range") -> Iterator[str]:
    """Of each file or partition, from where to where it is read."""
    for name, cursor in asked.end.items():
        start = asked.start.get(name, {})
        key = "line" if "line" in cursor else "offset"
        first = start.get(key, "its start")
        if first != cursor[key]:
            yield f"{name}: {key} {first} up to {cursor[key]}"


def _tell(terminal: Terminal, found: "Reproduction") -> None:
    done = f"{found.n_batches:,} batches with {found.n_records:,} records"
    if found.is_equal:
        terminal.tell(f"equal, byte for byte, after {done}")
        return
    terminal.tell(found.difference)
    if found.found is None:
        terminal.warn(f"not reproduced: after {done} the rule told nothing of this kind")
    else:
        terminal.warn(f"not reproduced: after {done} another notice came out")
    for suspect in found.suspects:
        terminal.warn(f"not as it was: {suspect}")


@contextmanager
def _nothing_else_said() -> Iterator[None]:
    """Have what the loop logs beside alerts go nowhere: it is meant for a run that goes on."""
    silence = logging.NullHandler()
    loggers = [logging.getLogger(name) for name in ("freshrank", "kafka")]
    for logger in loggers:
        logger.addHandler(silence)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(silence)
