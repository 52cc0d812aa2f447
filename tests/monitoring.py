"""Prometheus, promtool and Alertmanager for tests: where the programs come from.

They are those in the folder `FRESHRANK_MONITORING`, or in `build/monitoring/bin`, where `make
monitoring` puts them as Debian has them.
"""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

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


@contextmanager
def running(program: Path, flags: Sequence[str], is_ready: str) -> Iterator[None]:
    """Run a server for the length of a `with`, from when the address answers on."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen([program, *flags], stdout=log, stderr=log) as process,
    ):
        try:
            deadline_s = time.monotonic() + 60
            while not _answers(is_ready):
                if process.poll() is not None or time.monotonic() > deadline_s:
                    log.seek(0)
                    pytest.fail(f"{program.name} does not answer: {log.read().decode()[-4000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def answer(address: str, body: object = None) -> Any:
    """What a server on this machine answers, as JSON; `body` is sent as JSON."""
    sent = None if body is None else json.dumps(body).encode()
    request = Request(address, sent, {"Content-Type": "application/json"})
    with _WITHOUT_PROXY.open(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with _WITHOUT_PROXY.open(address, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


_WITHOUT_PROXY = build_opener(ProxyHandler({}))
