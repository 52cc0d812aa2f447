"""The real Alertmanager, for tests: started, killed and started again on one port.

    with Alertmanager(tmp_path, receiver.url) as alertmanager:
        alertmanager.active()      # what fires, by its labels
        alertmanager.kill()
        alertmanager.start()

The program comes from where `tests.monitoring` says.
"""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.monitoring import monitoring_program
from tests.receivers import wait_until


class Alertmanager:
    """One instance, alone, that notifies a webhook at once."""

    def __init__(self, folder: Path, notified_url: str) -> None:
        self._program = monitoring_program("prometheus-alertmanager")
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        webhook = {"url": notified_url, "send_resolved": True}
        config = {
            "route": {
                "receiver": "test",
                "group_by": ["..."],
                "group_wait": "10ms",
                "group_interval": "200ms",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "test", "webhook_configs": [webhook]}],
        }
        (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Alertmanager":
        setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *([setpriv, "--pdeathsig", "KILL"] if setpriv else []),
                    str(self._program),
                    f"--config.file={self._folder / 'alertmanager.yaml'}",
                    f"--storage.path={self._folder / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers)
        return self

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> "Alertmanager":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def active(self) -> list[str]:
        """The names of the alerts that fire, sorted."""
        return sorted(alert["labels"]["alertname"] for alert in self.ask("/api/v2/alerts"))

    def ask(self, path: str) -> Any:
        """What it answers."""
        with urllib.request.urlopen(self.url + path, timeout=5.0) as answer:
            return json.load(answer)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "alertmanager.log").read_text()
        try:
            self.ask("/api/v2/status")
        except OSError:
            return False
        return True
