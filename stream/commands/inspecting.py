"""`freshrank inspect`: what a checkpoint holds, and whether it is the one that was written."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import UsageError
from stream.tables import size_text

if TYPE_CHECKING:
    from stream.checkpoint_files import Inspection

EXAMPLES = examples(
    "freshrank inspect runs/replay",
    "freshrank inspect runs/replay/checkpoints/ckpt-000000000235 --json",
)
_KIND_TEXTS = {"ckpt": "recovery point", "anchor": "anchor"}


def inspect(
    ctx: typer.Context,
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A checkpoint, or the folder of a run."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.", metavar="")
    ] = False,
) -> None:
    """Show what a checkpoint holds; of a run, its newest.

    The exit status is 1 if it is damaged.
    """
    from stream.checkpoint_files import inspect_checkpoint

    terminal = terminal_of(ctx)
    path = _newest(checkpoint)
    found = inspect_checkpoint(path)
    if as_json:
        terminal.tell(json.dumps(_fields(path, found), indent=2))
    else:
        _tell(terminal, path, found)
    if found.damage:
        raise typer.Exit(1)


def _newest(path: Path) -> Path:
    from stream.checkpoint_files import MANIFEST_FILE, list_checkpoints

    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; name a checkpoint or the folder of a run")
    if (path / MANIFEST_FILE).exists() or _is_checkpoint_name(path):
        return path
    below = sorted(child for child in path.iterdir() if child.is_dir())
    for folder in (path, *below):
        if stored := list_checkpoints(folder):
            return stored[-1][2]
    raise UsageError(f"{path}: holds no checkpoint; name a checkpoint or the folder of a run")


def _is_checkpoint_name(path: Path) -> bool:
    """A checkpoint without its manifest is damaged, and no folder of checkpoints."""
    from stream.checkpoint_files import list_checkpoints

    return any(stored.name == path.name for _, _, stored in list_checkpoints(path.parent))


def _fields(path: Path, found: "Inspection") -> dict[str, Any]:
    return {
        "path": str(path),
        "is_verified": found.damage is None,
        "damage": found.damage,
        "manifest": found.manifest.model_dump(mode="json"),
        "arrays": [
            {
                "name": array.name,
                "dtype": array.dtype,
                "shape": list(array.shape),
                "size_bytes": array.size_bytes,
            }
            for array in found.arrays
        ],
    }


def _tell(terminal: Terminal, path: Path, found: "Inspection") -> None:
    manifest = found.manifest
    sizes = {name: file.size_bytes for name, file in manifest.files.items()}
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    verdict = Text(f"damaged: {found.damage}", "bold red", overflow="fold")
    rows: list[tuple[str, str | Text]] = [
        ("checkpoint", str(path)),
        ("verified", verdict if found.damage else Text("every file as written", "green")),
        ("kind", _KIND_TEXTS[manifest.kind]),
        ("after", f"{manifest.events:,} events in {manifest.seq:,} batches"),
        *(("goes on at", _cursor_text(n, cursor)) for n, cursor in manifest.position.items()),
        ("settings", f"SHA-256 {manifest.config_hash[:16]}"),
        ("made by", ", ".join(f"{name} {number}" for name, number in manifest.versions.items())),
        ("size", ", ".join(f"{name} {size_text(n_bytes)}" for name, n_bytes in sizes.items())),
    ]
    for name, value in rows:
        facts.add_row(name, Text(value, overflow="fold") if isinstance(value, str) else value)
    terminal.out.print(facts)
    if found.arrays:
        terminal.tell("")
        terminal.out.print(_arrays_table(found))


def _cursor_text(name: str, cursor: dict[str, int | str]) -> str:
    return f"{name}: " + ", ".join(f"{key} {value}" for key, value in cursor.items())


def _arrays_table(found: "Inspection") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("array", overflow="fold")
    table.add_column("dtype", no_wrap=True)
    table.add_column("shape", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for array in found.arrays:
        shape = " x ".join(map(str, array.shape)) or "1"
        table.add_row(Text(array.name), array.dtype, shape, size_text(array.size_bytes))
    return table
