"""The daemon as a process of its own: started, asked, signalled, killed, and its folder read.

    with Daemon(live_settings(kafka.bootstrap, [topic()]), tmp_path / "run") as daemon:
        daemon.wait_until(lambda: daemon.events() >= 100)
        daemon.sigterm()
        assert daemon.wait() == 0

`with` starts it, and kills what still runs at the end; `start()` starts it again, in the same
folder. The settings lie in `daemon.settings_file`, written again by `write_settings(...)`; what it
says goes to `daemon.log_file`, and `lines()` and `said(...)` read what was said since the last
start. `status()`, `events()` and `ask(path)` ask over HTTP, and need `server.port`, which
`live_settings` sets to any free one. `checkpoints()`, `entries()` and `journal_bytes()` read the
folder of a daemon whether it runs or not. `wait_until` gives up when the process ends, and shows
the end of its log. Start it from the main thread: it ends with the thread that started it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from stream.journal import Entry, decode_entry
from tests.runs import SMALL

ROOT = Path(__file__).parents[1]
LINES_SHOWN = 30
LOOK_EVERY_S = 0.01


def live_settings(
    bootstrap: str,
    topics: Sequence[str | Mapping[str, Any]],
    kafka: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The settings of a small daemon that starts in some seconds.

    `kafka` changes keys of `source.kafka`; `changes` replace whole groups, such as `alerts`.
    """
    source = {
        "connection": {"bootstrap": bootstrap},
        "topics": [topic if isinstance(topic, str) else dict(topic) for topic in topics],
        **(kafka or {}),
    }
    return {
        **SMALL,
        "source": {"kafka": source},
        "checkpoint": {"every": "200ms", "anchor_events": 200},
        "server": {"port": 0},
        "log": {"format": "json"},
        "watch": {"rules": []},
        **changes,
    }


class Daemon:
    """`freshrank run` on a file of settings, in a folder.

    Parameters
    ----------
    settings : mapping
        What the file holds.
    out : Path
        The run's folder. Settings and log lie beside it.
    env : mapping
        Further environment of the process.
    """

    def __init__(
        self, settings: Mapping[str, Any], out: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.out = out
        self.settings_file = out.with_name(f"{out.name}.yaml")
        self.log_file = out.with_name(f"{out.name}.log")
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        out.parent.mkdir(parents=True, exist_ok=True)
        self.write_settings(settings)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Have other settings in the file, for a reload or the next start."""
        self.settings_file.write_text(yaml.safe_dump(dict(settings)))

    def start(self) -> "Daemon":
        """Begin, or go on where it was."""
        assert self.exit_status is not None or self._process is None, "it still runs"
        arguments = ["run", "--config", str(self.settings_file), "--out", str(self.out)]
        command = [sys.executable, "-c", "from stream.cli import main; main()", *arguments]
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*_ends_with_parent(), *command],
                cwd=ROOT,
                env=os.environ | self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __enter__(self) -> "Daemon":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs, negative for a signal."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        self._started().send_signal(number)

    def sigterm(self) -> None:
        """Ask for an end in good order."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the middle of whatever it does; nothing happens if it ended before."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self, timeout_s: float = 60.0) -> int:
        """Its exit status; the test fails if it goes on for longer."""
        try:
            return self._started().wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout_s} s{self._last_words()}") from None

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Return when the condition holds; the test fails if it ends before, or takes longer."""
        give_up_s = time.monotonic() + timeout_s
        while not condition():
            # Asked again: what it did before it ended may have made it so.
            assert self.exit_status is None or condition(), (
                f"it ended with {self.exit_status}{self._last_words()}"
            )
            assert time.monotonic() < give_up_s, f"not so in {timeout_s} s{self._last_words()}"
            time.sleep(LOOK_EVERY_S)

    def lines(self) -> list[dict[str, Any]]:
        """What it said since the last start; a line that is no JSON is the `event` of one."""
        if not self.log_file.exists():
            return []
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            return [_fields(line) for line in file.read().splitlines(keepends=True)]

    def said(self, text: str, level: str | None = None) -> list[dict[str, Any]]:
        """The lines that hold a text, of any level unless one is given."""
        return [
            line
            for line in self.lines()
            if text in str(line.get("event")) and level in (None, line.get("level"))
        ]

    def ask(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer; (0, None) while nobody answers."""
        told = self.said("answering on http://")
        if not told:
            return 0, None
        url = told[-1]["event"].rpartition(" ")[2] + path
        try:
            with urllib.request.urlopen(url, timeout=10.0) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)
        except OSError:
            return 0, None

    def status(self) -> dict[str, Any]:
        """What `/status` answers; empty while nobody does."""
        return self.ask("/status")[1] or {}

    def events(self) -> int:
        """Events taken in so far, over all starts; -1 while nobody answers."""
        return self.status().get("events", -1)

    def is_ready(self) -> bool:
        return self.ask("/readyz")[0] == 200

    def checkpoints(self) -> list[Path]:
        """What is whole on disk, recovery points and anchors, oldest first."""
        found = (self.out / "checkpoints").glob("*-*")
        whole = [path for path in found if path.is_dir() and path.suffix != ".tmp"]
        return sorted(whole, key=lambda path: path.name.partition("-")[2])

    def journal_bytes(self) -> bytes:
        """The journal as it lies there: opened by its own class a running one would be cut."""
        segments = sorted((self.out / "journal").glob("*.jsonl"))
        return b"".join(segment.read_bytes() for segment in segments)

    def entries(self) -> list[Entry]:
        """The journal's entries; one that is torn or being written is left out."""
        lines = self.journal_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        return [decode_entry(line.partition(b" ")[2]) for line in whole]

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of a file such as `alerts.jsonl`; none if it is not there."""
        path = self.out / name
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "it was not started"
        return self._process

    def _last_words(self) -> str:
        lines = [json.dumps(line, ensure_ascii=False) for line in self.lines()[-LINES_SHOWN:]]
        return "\n".join(["; the end of its log:", *lines])


def _fields(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"event": line.decode(errors="replace").rstrip()}


def _ends_with_parent() -> list[str]:
    """What ends the daemon when the tests are killed; nothing where it cannot be had."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
