"""What the wall clock decided of a live stream, written down before anyone acts on it.

    journal/
      000000000000.jsonl      one entry a line: CRC-32 of the entry, a space, the entry as JSON
      000000018231.jsonl      named by the first batch in it

Where a batch of a live stream ends, and when a silent partition is no longer waited for, depends
on the clock and the network, and would come out otherwise a second time. A resumed run repeats the
entries after its checkpoint.

An entry is with the system before its batch is predicted, and so survives a killed process. It is
on disk before any message that its batch led to is sent to a topic, and before a checkpoint that
comes after it. A power cut may take later entries: their batches are cut anew then, the output
files are cut back to the checkpoint, and only the log and `/status` may have told of them.
"""

import contextlib
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from stream.durable import sync_folder
from stream.errors import JournalError
from stream.values import Command

JOURNAL_FOLDER = "journal"
_NAME = re.compile(r"(\d{12,})\.jsonl")
_SEGMENT_BYTES = 4 << 20


class Range(msgspec.Struct, frozen=True, array_like=True):
    """The records `start` up to `stop` of a partition, and where they leave it.

    `ts_ms` is the partition's own event time after them.
    """

    topic_id: str
    start: int
    stop: int
    ts_ms: int


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What makes up one batch: `ranges` by partition, such as `clicks/0`; those that moved.

    `settings` are what the records of this entry, and of those after it, are read under; None for
    those of the entry before. `topic_ids` is how a file holds an id that all ranges of a topic
    share, so that it is there once: who reads a journal finds each id in its range.
    """

    seq: int
    ranges: dict[str, Range]
    watermark_ms: int
    is_backlog: bool = False
    commands: tuple[Command, ...] = ()
    settings: dict[str, Any] | None = None
    topic_ids: dict[str, str] = {}


class Journal:
    """The entries of one run, in segments of some megabytes.

    `append` belongs to one thread; `sync` and `prune` may be called from others. What lies in the
    folder when it is opened is kept: the entries are numbered on from the last one.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    segment_bytes : int
        How long a segment grows before the next one begins.
    settings : dict, optional
        What the records of entries to come are read under, as plain JSON. The first entry of each
        segment bears them, and each that is read under others than the one before.

    Raises
    ------
    JournalError
        From every method: if the folder cannot be used, or an entry amid the journal is damaged.
        The last entry of all may be torn by a crash: nobody has acted on it, and it is cut off.

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()))
    >>> journal.append(Entry(0, {"clicks/0": Range("9f", 0, 256, 1_700_000_000_000)}, 1_700_000))
    >>> journal.append(Entry(1, {}, 1_700_500, commands=({"alerts": {}},)))
    >>> [entry.seq for entry in journal.entries(from_seq=1)]
    [1]
    >>> journal.close()
    """

    def __init__(
        self,
        folder: Path,
        segment_bytes: int = _SEGMENT_BYTES,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._settings = settings
        self._last_settings: dict[str, Any] | None = None
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()  # over the open segment: synced by one, replaced by another
        self._file: FileIO | None = None
        self._n_bytes = 0
        self._synced_bytes = 0
        with _explained(self._folder, "cannot be opened"):
            folder.mkdir(parents=True, exist_ok=True)
            self._next_seq = self._go_on()

    @property
    def next_seq(self) -> int | None:
        """The number of the entry to come; None while there is none at all."""
        return self._next_seq

    @property
    def last_settings(self) -> dict[str, Any] | None:
        """What the newest entry was read under; None where no entry tells."""
        return self._last_settings

    def append(self, entry: Entry) -> None:
        """Hand an entry to the system; the process may be killed from here on."""
        if self._next_seq is not None and entry.seq != self._next_seq:
            raise JournalError(
                f"{self._folder}: entry {entry.seq} does not follow {self._next_seq - 1}; "
                "the journal belongs to another run, or to another state of this one"
            )
        with self._lock, _explained(self._folder, "cannot be written"):
            file = self._segment(entry.seq)
            if self._n_bytes == 0 or self._settings != self._last_settings:
                entry = msgspec.structs.replace(entry, settings=self._settings)
            text = self._encoder.encode(_packed(entry))
            line = b"%08x %s\n" % (zlib.crc32(text), text)
            if file.write(line) != len(line):
                # What follows a part of an entry could not be read: whoever tries again must not.
                file.truncate(self._n_bytes)
                raise OSError(None, "the disk took a part of an entry only")
            self._n_bytes += len(line)
        self._next_seq = entry.seq + 1
        self._last_settings = self._settings or self._last_settings

    def sync(self) -> None:
        """Return when every entry so far is on disk; who appends meanwhile does not wait for it."""
        with _explained(self._folder, "cannot be written to disk"):
            with self._lock:
                n_bytes, file = self._n_bytes, self._file
                if file is None or self._synced_bytes >= n_bytes:
                    return
                descriptor = os.dup(file.fileno())
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            with self._lock:
                if self._file is file:
                    self._synced_bytes = max(self._synced_bytes, n_bytes)

    def entries(self, from_seq: int) -> Iterator[Entry]:
        """The entries from this one on, in order, as they are when the reading begins.

        The first of them bears its settings too, if any entry of its segment does.
        """
        return read_entries(self._folder, from_seq)

    def prune(self, first_needed_seq: int, spared: Sequence[range] = ()) -> None:
        """Drop the segments that hold nothing from this entry on, and none of those spared."""
        with _explained(self._folder, "cannot be pruned"):
            segments = _segments(self._folder)
            for (first, path), (following, _) in pairwise(segments):
                is_spared = any(seqs.start < following and first < seqs.stop for seqs in spared)
                if following <= first_needed_seq and not is_spared:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what is not on disk yet, and let go of the files."""
        self.sync()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _go_on(self) -> int | None:
        """Cut off a torn last entry; the number of the entry to come."""
        segments = _segments(self._folder)
        if not segments:
            return None
        first_seq, path = segments[-1]
        entries, n_bytes = _read(path, is_last=True)
        self._last_settings = _last_settings(entries)
        with path.open("r+b") as file:
            file.truncate(n_bytes)
            os.fsync(file)
        return entries[-1].seq + 1 if entries else first_seq

    def _segment(self, seq: int) -> FileIO:
        """The segment that takes the next entry."""
        if self._file is not None and self._n_bytes < self._segment_bytes:
            return self._file
        if self._file is not None:
            os.fsync(self._file)
            self._file.close()
            self._file = None
            path = self._folder / f"{seq:012d}.jsonl"
        else:
            segments = _segments(self._folder)
            path = segments[-1][1] if segments else self._folder / f"{seq:012d}.jsonl"
        self._file = FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), "a")
        self._n_bytes = self._synced_bytes = path.stat().st_size
        sync_folder(self._folder)
        return self._file


_ADVICE = (
    "an older checkpoint cannot be gone on from without it: put the file back, or start in "
    "another folder"
)


def read_entries(folder: Path, from_seq: int) -> Iterator[Entry]:
    """The entries of a journal, from this one on, as they are when the reading begins.

    Nothing is changed: another process may be writing them. The first one bears its settings too,
    if any entry of its segment does.

    Raises
    ------
    JournalError
        If entries that follow are gone or damaged, or the folder cannot be read.
    """
    with _explained(folder, "cannot be read"):
        segments = _segments(folder)
    following = from_seq
    for number, (first_seq, path) in enumerate(segments):
        is_last = number == len(segments) - 1
        if not is_last and segments[number + 1][0] <= from_seq:
            continue
        with _explained(folder, "cannot be read"):
            entries, _ = _read(path, is_last)
        if entries and entries[0].seq != first_seq:
            raise JournalError(f"{path}: begins with entry {entries[0].seq}; {_ADVICE}")
        if first_seq > following:
            raise JournalError(
                f"{path}: the entries {following} to {first_seq - 1} before it are gone; {_ADVICE}"
            )
        following = first_seq + len(entries)
        n_passed = max(0, from_seq - first_seq)
        yield from _with_settings(entries, n_passed)


@contextlib.contextmanager
def _explained(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise JournalError(
            f"{folder} {what}: {err.strerror or err}; nothing is lost: make room or give access, "
            "and start again"
        ) from err


def _segments(folder: Path) -> list[tuple[int, Path]]:
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def _read(path: Path, is_last: bool) -> tuple[list[Entry], int]:
    """The entries of a segment and the bytes they take; a torn end is left out of the last one."""
    data = path.read_bytes()
    entries: list[Entry] = []
    n_bytes = 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        try:
            entry = _entry(line)
        except msgspec.MsgspecError as err:
            raise JournalError(
                f"{path}:{number}: is whole, but no entry that this release knows: {err}; go on "
                "with the release that wrote it"
            ) from err
        if entry is not None and entries and entry.seq != entries[-1].seq + 1:
            entry = None
        if entry is None:
            if is_last and n_bytes + len(line) == len(data):
                break
            raise JournalError(f"{path}:{number}: is damaged; {_ADVICE}")
        entries.append(entry)
        n_bytes += len(line)
    return entries, n_bytes


def _entry(line: bytes) -> Entry | None:
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    return decode_entry(text)


def _with_settings(entries: list[Entry], n_passed: int) -> list[Entry]:
    """The entries after some that are passed by, whose settings the first one takes over."""
    settings = _last_settings(entries[: n_passed + 1])
    kept = entries[n_passed:]
    if not kept or settings is None:
        return kept
    return [msgspec.structs.replace(kept[0], settings=settings), *kept[1:]]


def _last_settings(entries: list[Entry]) -> dict[str, Any] | None:
    told = (entry.settings for entry in reversed(entries))
    return next((settings for settings in told if settings is not None), None)


def decode_entry(text: bytes) -> Entry:
    """The entry that a line of a segment holds behind its checksum."""
    entry = msgspec.json.decode(text, type=Entry)
    if not entry.topic_ids:
        return entry
    ranges = {
        name: Range(topic_id, part.start, part.stop, part.ts_ms)
        if (topic_id := entry.topic_ids.get(_topic(name)))
        else part
        for name, part in entry.ranges.items()
    }
    return msgspec.structs.replace(entry, ranges=ranges, topic_ids={})


def _packed(entry: Entry) -> Entry:
    """The entry with each topic's id once, where all of several ranges share it."""
    by_topic: dict[str, list[tuple[str, Range]]] = {}
    for name, part in entry.ranges.items():
        by_topic.setdefault(_topic(name), []).append((name, part))
    ranges, topic_ids = dict(entry.ranges), dict[str, str]()
    for topic, parts in by_topic.items():
        shared_id = parts[0][1].topic_id
        if shared_id and len(parts) > 1 and all(part.topic_id == shared_id for _, part in parts):
            topic_ids[topic] = shared_id
            ranges |= {n: Range("", part.start, part.stop, part.ts_ms) for n, part in parts}
    return msgspec.structs.replace(entry, ranges=ranges, topic_ids=topic_ids)


def _topic(name: str) -> str:
    return name.rpartition("/")[0]
