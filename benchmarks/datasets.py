"""Where the benchmarks' data lies, imported into event files once per run."""

import os
import sys
from pathlib import Path

from stream.importers.registry import import_events
from stream.sources.simulator import SimulatorConfig, write_simulation

_ROOT = Path(__file__).resolve().parents[1]


def data_folder(name: str) -> Path:
    """A folder of public data, or an exit that says how to get it."""
    root = Path(os.environ.get("FRESHRANK_DATA", _ROOT.parent / "shared" / "data"))
    folder = root / name
    if not folder.is_dir():
        sys.exit(
            f"{folder} is missing: set FRESHRANK_DATA to a folder that holds {name} "
            "(MovieLens 100K from GroupLens; DIGINETICA as prepared by the ADER benchmark)"
        )
    return folder


def event_file(name: str, into: Path, *, with_catalogue: bool = False) -> Path:
    """The clicks of `ml-100k` or `diginetica`, or the `shop`'s events, as one file by time.

    With its catalogue, `ml-100k` begins with what is known of every movie and user.
    """
    if name == "shop":
        return write_simulation(SimulatorConfig(), into).events
    format_name = {"ml-100k": "movielens", "diginetica": "diginetica"}[name]
    path = into / f"{name}.jsonl"
    options = {"with_catalogue": with_catalogue} if name == "ml-100k" else {}
    import_events(format_name, data_folder(name), path, **options)
    return path
