"""What whoever runs the daemon should know: written down, logged, and handed on.

Incidents belong to the wall clock. They go to a file of their own, apart from metrics, alerts and
everything else that a repeated run writes again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from stream.errors import FreshrankError
from stream.notices import Incident
from stream.values import Record

LOGGER = logging.getLogger("freshrank.incidents")

# The file and the one before it: some ten thousand incidents, years of a run that goes well.
_FILE_BYTES = 4 << 20

_TEXT_CHARS = 2_000


class IncidentSink(Protocol):
    """Takes the records of incidents. `write` must not wait for anybody."""

    def write(self, record: Record) -> None: ...


class Incidents:
    """Takes incidents from any thread; whatever goes wrong here, who reports goes on.

    Each becomes a line of the file and of the log (logger `freshrank.incidents`), and a record
    for each sink. An incident that cannot be written is still logged, and counted in `n_failed`.
    Past some megabytes the file becomes `<name>.1<suffix>`, in place of the one before.

    Parameters
    ----------
    path : Path
        The file, `incidents.jsonl` of the run's folder; its folder is made if it is missing.
    sinks : sequence of IncidentSink
        Who else is told.
    wall_clock_s : callable
        The time of day, in seconds since the epoch.
    file_bytes : int
        How long the file grows before the next one begins.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "incidents.jsonl"
    >>> incidents = Incidents(path, wall_clock_s=lambda: 1_767_225_600.5)
    >>> incidents.report(Incident("silent", "no_clicks", "no record for 10m"))
    >>> record = msgspec.json.decode(path.read_bytes())
    >>> record["ts"], record["kind"], record["state"]
    ('2026-01-01T00:00:00.500Z', 'silent', 'firing')
    """

    def __init__(
        self,
        path: Path,
        sinks: Sequence[IncidentSink] = (),
        wall_clock_s: Callable[[], float] = time.time,
        file_bytes: int = _FILE_BYTES,
    ) -> None:
        self._path = path
        self._sinks = tuple(sinks)
        self._wall_clock_s = wall_clock_s
        self._file_bytes = file_bytes
        # Reentrant: a sink that reports what went wrong with it must not wait for itself.
        self._lock = threading.RLock()
        self._n_reported = self._n_failed = 0

    def report(self, incident: Incident) -> None:
        """Tell everybody; never raises."""
        with self._lock:
            line = _line(incident, self._n_reported, round(self._wall_clock_s() * 1000))
            self._n_reported += 1
            problems = [self._write(line), *(_hand_on(line, sink) for sink in self._sinks)]
            failed = [problem for problem in problems if problem]
            self._n_failed += bool(failed)
        _log(incident)
        for problem in failed:
            LOGGER.error("an incident is not written: %s", problem)

    @property
    def n_reported(self) -> int:
        """Incidents since the process began."""
        return self._n_reported

    @property
    def n_failed(self) -> int:
        """Those that did not reach the file or a sink."""
        return self._n_failed

    def _write(self, line: bytes) -> str:
        """Append to the file; what went wrong, in words.

        The file is opened each time: incidents are rare, and whoever moves it away disturbs
        nothing. It is not synced, as a disk that hangs must not hold up the loop.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._is_full(len(line)):
                self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))
            with self._path.open("ab+", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                # A full disk or a crash may have left half a line.
                is_torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
                whole = b"\n" + line if is_torn else line
                if file.write(whole) != len(whole):
                    return f"{self._path}: the disk took a part of it only; make room"
        except OSError as err:
            return f"{self._path}: {err.strerror or err}; make room or give access"
        return ""

    def _is_full(self, n_bytes: int) -> bool:
        try:
            found_bytes = self._path.stat().st_size
        except FileNotFoundError:
            return False
        return found_bytes > 0 and found_bytes + n_bytes > self._file_bytes


def _line(incident: Incident, seq: int, ts_ms: int) -> bytes:
    """The incident as one line of JSON; whatever its details hold, there is one."""
    record = {
        "seq": seq,
        "name": incident.name,
        "ts": _iso(ts_ms),
        "ts_ms": ts_ms,
        "kind": incident.kind,
        "state": _state(incident),
        "severity": incident.severity,
        "text": incident.text[:_TEXT_CHARS],
        "details": dict(incident.details),
    }
    try:
        return msgspec.json.encode(record, enc_hook=str) + b"\n"
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        # A text that is not Unicode, say, out of the name of a file.
        plain = {
            key: ascii(value)[:_TEXT_CHARS] if key == "details" else _ascii(value)
            for key, value in record.items()
        }
        return msgspec.json.encode(plain | {"details": {"repr": plain["details"]}}) + b"\n"


def _iso(ts_ms: int) -> str:
    try:
        time_of_day = datetime.fromtimestamp(ts_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # a clock beyond all calendars
        return ""
    return time_of_day.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ascii(value: object) -> object:
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


def _hand_on(line: bytes, sink: IncidentSink) -> str:
    """Hand the record of a line to a sink; what went wrong, in words."""
    try:
        sink.write(msgspec.json.decode(line))
    except FreshrankError as err:
        return str(err)
    return ""


def _state(incident: Incident) -> str:
    return "resolved" if incident.is_resolved else "firing"


def _log(incident: Incident) -> None:
    is_warning = not incident.is_resolved and incident.severity != "info"
    LOGGER.log(
        logging.WARNING if is_warning else logging.INFO,
        "%s %s is %s (%s): %s",
        incident.kind,
        incident.name,
        _state(incident),
        incident.severity,
        incident.text,
        extra={"details": dict(incident.details)},
    )
