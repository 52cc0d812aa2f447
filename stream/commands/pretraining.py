"""`freshrank pretrain`: learn a log by several passes, for a replay or a run to go on from."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from stream.commands.options import (
    ConfigOption,
    FromOption,
    MapOption,
    SetOption,
    UntilOption,
    columns_of,
    time_ms,
)
from stream.commands.stopping import StopSignals, leave_at_once
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import UsageError
from stream.progress import Progress
from stream.settings import read_settings

if TYPE_CHECKING:
    from stream.pretraining import Epoch, PretrainConfig, Pretrained, Stage

EXAMPLES = examples(
    "freshrank pretrain 'history/*.jsonl.zst' --out runs/base",
    "freshrank pretrain log.csv --map user=visitorid,item=itemid,ts=timestamp --epochs 8",
    "freshrank replay today.jsonl --set start_from=runs/base --out runs/today",
    "freshrank run --config freshrank.yaml --set start_from=runs/base",
)


# Each parameter is an option.
def pretrain(  # noqa: PLR0913
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS",
            help="Files or globs: JSON lines, CSV, TSV (each also with .gz or .zst) or Parquet.",
        ),
    ],
    config: ConfigOption = None,
    overrides: SetOption = None,
    columns: MapOption = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder to leave; it must not exist yet."
        ),
    ] = Path("runs/pretrained"),
    epochs: Annotated[
        int, typer.Option("--epochs", metavar="N", min=1, help="Passes over the events.")
    ] = 5,
    patience: Annotated[
        int,
        typer.Option(
            "--patience",
            metavar="N",
            min=1,
            help="Stop after N epochs that predicted the last clicks no better.",
        ),
    ] = 2,
    validation_share: Annotated[
        float,
        typer.Option(
            "--validation-share",
            metavar="X",
            help="Share of the clicks, the last ones, that the epochs are judged by.",
        ),
    ] = 0.1,
    max_lessons: Annotated[
        int,
        typer.Option(
            "--max-lessons",
            metavar="N",
            min=1,
            help="Clicks, the newest, that passes after the first go over; they are in memory.",
        ),
    ] = 2_000_000,
    since: FromOption = None,
    until: UntilOption = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only; see pretraining.json.", metavar=""),
    ] = False,
) -> None:
    """Learn files of events by several passes, and leave a folder to go on from.

    The first pass is a replay; further ones go over its clicks in other orders while that helps to
    predict the last clicks, which no pass learns. The best pass is kept, learns those clicks too,
    and is gone on from with start_from. The same events give the same weights every time.
    """
    from stream.appearing_folder import unfinished_folder
    from stream.config import FreshrankConfig
    from stream.pretraining import Pretraining, StoppedError
    from stream.pretraining import pretrain as run_passes
    from stream.run_folder import resolved

    terminal = terminal_of(ctx)
    given = {
        "from_ms": time_ms("--from", since),
        "until_ms": time_ms("--until", until),
        **{f"map.{name}": column for name, column in columns_of(columns).items()},
    }
    of_source = [f"source.{k}={json.dumps(v)}" for k, v in given.items() if v is not None]
    settings = read_settings(FreshrankConfig, config, [*(overrides or []), *of_source])
    passes = _passes(epochs, patience, validation_share, max_lessons)
    job = Pretraining(resolved(settings, out, resume=False), passes, paths, out)
    leftover = f"the next start clears {unfinished_folder(out)}"
    watched = _Watched(terminal, f"recall@{max(settings.ranking.ks)}", quiet)
    try:
        with StopSignals(abort=partial(leave_at_once, told=leftover)) as stop, watched:
            stop.attach(watched)
            pretrained = run_passes(job, watched)
    except StoppedError as err:
        terminal.warn(f"stopped; nothing was left in {out}")
        raise typer.Exit(stop.exit_status) from err
    if not quiet:
        _tell(terminal, pretrained, out)


def _passes(
    epochs: int, patience: int, validation_share: float, max_lessons: int
) -> "PretrainConfig":
    from stream.pretraining import PretrainConfig

    if not 0 < validation_share <= 0.5:
        raise UsageError(
            f"--validation-share {validation_share:g}: expected a number above 0 and up to 0.5, "
            "such as 0.1"
        )
    return PretrainConfig(
        epochs=epochs,
        patience=patience,
        validation_share=validation_share,
        max_lessons=max_lessons,
    )


class _Watched:
    """Shows a pretraining stage by stage, and ends it between two steps when it is to stop."""

    def __init__(self, terminal: Terminal, figure: str, is_quiet: bool) -> None:
        self._terminal = terminal
        self._figure = figure
        self._is_quiet = is_quiet
        self._wants_stop = False
        self._stage: Stage | None = None
        self._progress: Progress | None = None

    def stop(self) -> None:
        """End it at the next step; may be called from a signal handler."""
        self._wants_stop = True
        if self._progress is not None:
            self._progress.stopping()

    def begin(self, stage: "Stage") -> None:
        self._close()
        self._stage = stage
        self._progress = Progress(
            Console(stderr=True, quiet=True) if self._is_quiet else self._terminal.err,
            figure=self._figure,
            done_ratio=lambda n_done: n_done / stage.n_total if stage.n_total else None,
            name=stage.name,
        )
        self._progress.__enter__()
        self._progress.start(stage)

    def step(self) -> None:
        from stream.pretraining import StoppedError

        if self._wants_stop:
            raise StoppedError
        if self._progress is not None and self._stage is not None:
            self._progress.update(self._stage)

    def judged(self, epoch: "Epoch") -> None:
        if not self._is_quiet:
            told = f"epoch {epoch.number}: {self._figure} {epoch.figure:.4f} on the last clicks"
            self._terminal.warn(told)

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None


def _tell(terminal: Terminal, pretrained: "Pretrained", out: Path) -> None:
    terminal.out.print(_epochs_table(pretrained.figure, pretrained.epochs, pretrained.best))
    terminal.tell("")
    dropped = f", {pretrained.n_dropped:,} older ones once" if pretrained.n_dropped else ""
    terminal.tell(
        f"clicks        {pretrained.n_clicks:,}: {pretrained.n_lessons:,} gone over{dropped}, the "
        f"last {pretrained.n_tail_clicks:,} judged by"
    )
    terminal.tell(
        f"kept          epoch {pretrained.best.number}, which then learned the last clicks"
    )
    terminal.tell(f"go on with    freshrank replay ... --set start_from={out}")


def _epochs_table(figure: str, epochs: "Sequence[Epoch]", best: "Epoch") -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title="The last clicks, predicted before any of them was learned",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("epoch", justify="right")
    table.add_column(figure, justify="right")
    table.add_column("")
    for epoch in epochs:
        is_kept = epoch is best
        style = "bold" if is_kept else ""
        text = "kept" if is_kept else ""
        table.add_row(str(epoch.number), f"{epoch.figure:.4f}", text, style=style)
    return table
