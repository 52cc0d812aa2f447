"""What no destination will take: kept in a file, for a person to look at.

The file is bounded: past some megabytes it becomes `<name>.1<suffix>`, in place of the one before.
"""

import threading
from pathlib import Path

import msgspec

from stream.delivery.transitions import Transition
from stream.errors import SinkError

_FILE_BYTES = 4 << 20


class PutAside:
    """Takes transitions from any thread.

    Parameters
    ----------
    path : Path
        The file, `dead_deliveries.jsonl` of the run's folder.
    file_bytes : int
        How long it grows before the next one begins.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "dead_deliveries.jsonl"
    >>> told = Transition("7c", "alert:low", "firing", "page", "it is low", {}, {}, {}, 5, 5)
    >>> PutAside(path).put("pager", told, "answered 400", 9)
    >>> line = msgspec.json.decode(path.read_bytes())
    >>> line["destination"], line["reason"], line["text"]
    ('pager', 'answered 400', 'it is low')
    """

    def __init__(self, path: Path, file_bytes: int = _FILE_BYTES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._lock = threading.Lock()

    def put(self, destination: str, told: Transition, reason: str, now_ms: int) -> None:
        """Write a transition down, with the reason.

        Raises
        ------
        SinkError
            If the file cannot be written.
        """
        record = {
            "ts_ms": now_ms,
            "destination": destination,
            "reason": reason,
            **msgspec.structs.asdict(told),
        }
        line = msgspec.json.encode(record, enc_hook=str) + b"\n"
        try:
            with self._lock:
                if self._is_full(len(line)):
                    self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))
                with self._path.open("ab", buffering=0) as file:
                    if file.write(line) != len(line):
                        raise OSError(None, "the disk took a part of a line only")
        except OSError as err:
            raise SinkError(
                f"{self._path}: cannot be written: {err.strerror or err}; make room or give access"
            ) from err

    def _is_full(self, n_bytes: int) -> bool:
        try:
            found_bytes = self._path.stat().st_size
        except FileNotFoundError:
            return False
        return found_bytes > 0 and found_bytes + n_bytes > self._file_bytes
