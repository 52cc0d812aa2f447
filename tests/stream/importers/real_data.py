"""Where the public logs lie that the tests may read; none of them is part of the project."""

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).parents[4] / "shared" / "data"


def real_data(name: str) -> Path:
    """The folder of a log; skips the test where it is absent."""
    folder = Path(os.environ.get("FRESHRANK_DATA", _BESIDE_CHECKOUT)) / name
    if not folder.is_dir():
        pytest.skip(f"the {name} data is absent; set FRESHRANK_DATA to the folder that holds it")
    return folder
