"""The batches of a range of topics, as the journal cut them; records come from the brokers."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import msgspec

from stream.errors import JournalError, KafkaError, ReproductionError
from stream.journal import JOURNAL_FOLDER, Entry, Journal, read_entries
from stream.kafka.source import KafkaSource
from stream.notices import Incident
from stream.repeating import read_as_then
from stream.reproducing.asked import Place, Range, RunBefore, ended_early
from stream.values import Batch


@dataclass(frozen=True, slots=True)
class Reading:
    """How topics are read again: a folder for what that takes, and how long brokers may be away."""

    scratch: Path
    wait_s: float = 30.0
    clock: Callable[[], float] = time.monotonic


def batches_of_topics(
    run: RunBefore, asked: Range, place: Place, reading: Reading
) -> Generator[Batch, None, None]:
    """The batches from a place up to the end of a range; nothing is committed.

    Raises
    ------
    ReproductionError
        If the journal no longer tells of a batch, or records of one are gone.
    KafkaError
        If no broker answers in time, or a topic is not there.
    """
    kafka = run.config.source.kafka
    if kafka is None:
        raise ReproductionError(f"{run.out}: has a journal, but its settings name no topics")
    entries = _entries(run.out / JOURNAL_FOLDER, place.next_seq, asked.last_seq)
    for number, part in enumerate(_by_settings(entries)):
        config = read_as_then(kafka, part[0].settings)
        folder = reading.scratch / f"{JOURNAL_FOLDER}-{number}"
        with closing(Journal(folder)) as journal:
            for entry in part:
                journal.append(entry)
            losses = _Losses(part)
            source = KafkaSource(
                config.model_copy(update={"on_gap": "earliest", "group": None}),
                run.config.batch,
                journal,
                report=losses.hear,
                until_journal_end=True,
            )
            with closing(source):
                for batch in _read(source, place, losses, reading):
                    yield batch
                    place = Place(batch.end, batch.seq + 1, batch.watermark_ms)


def _entries(folder: Path, first_seq: int, last_seq: int) -> list[Entry]:
    """The entries of a range: as many as one anchor has events after it."""
    try:
        found = list(takewhile(lambda e: e.seq <= last_seq, read_entries(folder, first_seq)))
    except JournalError as err:
        raise ReproductionError(
            f"{err}; batches {first_seq} to {last_seq} are needed to reproduce the notice: raise "
            "checkpoint.keep_named and keep_named_for to have those of more notices stay"
        ) from err
    if not found or found[0].seq != first_seq or found[-1].seq != last_seq:
        reached = found[-1].seq if found else first_seq - 1
        raise ended_early(last_seq, reached, f"{folder}: the journal ends")
    return found


def _by_settings(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in order, apart where they were read under other settings than before."""
    parts: list[list[Entry]] = []
    settings = None
    for entry in entries:
        if not parts or (entry.settings is not None and entry.settings != settings):
            parts.append([])
        settings = entry.settings or settings
        parts[-1].append(msgspec.structs.replace(entry, settings=settings))
    return parts


class _Losses:
    """Hears of records that are gone, and remembers what matters to these entries."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self.text: str | None = None

    def hear(self, incident: Incident) -> None:
        """Take an incident, in the thread that reads."""
        if incident.kind == "gap" and self._is_needed(incident):
            self.text = incident.text

    def _is_needed(self, gap: Incident) -> bool:
        """Whether a batch holds some of it; a new topic has nothing of the old one."""
        first, stop = gap.details["from_offset"], gap.details["to_offset"]
        parts = [e.ranges[gap.name] for e in self._entries if gap.name in e.ranges]
        if gap.details["cause"] == "recreated":
            return bool(parts)
        if gap.details["cause"] == "shortened":
            first, stop = stop, first
        return any(part.start < stop and first < part.stop for part in parts)


def _read(
    source: KafkaSource, place: Place, losses: _Losses, reading: Reading
) -> Generator[Batch, None, None]:
    heard_s = reading.clock()
    for batch in source.batches(place.position, place.next_seq, place.watermark_ms):
        if losses.text is not None:
            raise ReproductionError(
                f"{losses.text}; the range of the notice holds some of them: a notice can be "
                "reproduced for as long as its topics keep their records (retention.ms)"
            )
        status = source.status()
        if batch is not None or (status.is_connected and status.problem is None):
            heard_s = reading.clock()
        if batch is not None:
            yield batch
        elif reading.clock() - heard_s >= reading.wait_s:
            problem = status.problem or "no broker answers"
            raise KafkaError(f"{problem}; waited {reading.wait_s:g} s to read the range again")
