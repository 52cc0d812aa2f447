"""Prometheus, promtool and Alertmanager for tests: where the programs come from.

They are those in the folder `FRESHRANK_MONITORING`, or in `build/monitoring/bin`, where `make
monitoring` puts them as Debian has them.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def monitoring_program(name: str) -> Path:
    """`prometheus`, `promtool`, `prometheus-alertmanager` or `amtool`; without it the test is
    skipped, and fails in CI, where nobody would read the reason."""
    default = ROOT / "build" / "monitoring" / "bin"
    program = Path(os.environ.get("FRESHRANK_MONITORING", default)) / name
    if not os.access(program, os.X_OK):
        reason = f"no program {program}: make monitoring"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return program
