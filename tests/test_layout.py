"""The tree keeps its shape."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("stream", "learners", "evaluators")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)
MAX_LINES = 400

TESTED_ELSEWHERE = {
    "stream/build.py": "by every whole run: test_replay.py, test_pipeline.py",
    "stream/errors.py": "declares a tree",
    "stream/notices.py": "declares values: by everyone who handles them",
    "stream/protocols.py": "declares contracts: tests/conformance",
    "stream/values.py": "declares values: by everyone who handles them",
    "stream/id_hash.py": "by its doctest",
    "stream/commands/terminal.py": "by every command's tests",
    "stream/sources/shop_words.py": "holds words",
}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_fits_one_idea(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_has_its_tests_in_the_mirrored_place(path):
    mirrored = ROOT / "tests" / path.parent / f"test_{path.name}"
    assert mirrored.is_file() != (str(path) in TESTED_ELSEWHERE)
