"""How far one partition is read, and what is to be read of it next."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stream.kafka.chunks import Chunk, ChunkDecoder, event_times
from stream.kafka.positions import Stretch, number_of, topic_of


class Reading:
    """One partition on its way.

    Parameters
    ----------
    name : str
        The partition, such as `clicks/0`.
    ahead : tuple of Stretch
        What is to be read; the last stretch has no end.
    decoder : ChunkDecoder
        Decodes the topic's values.

    Attributes
    ----------
    delivered : int
        The first offset that was not handed over; what was fetched beyond it is on trial.
    offset : int
        The offset to be fetched next.
    end : int or None
        The offset that the next record to be written gets, where known.
    proven_end : int or None
        The end as of the last records that were handed over: surely that of this topic.
    highwater : int or None
        The end that came with the records last fetched.
    is_missing : bool
        Whether its topic, or the partition itself, is not there.
    is_new : bool
        Whether nobody has asked the brokers for it yet.
    is_full : bool
        Whether as much of it waits to be used as may.
    """

    def __init__(self, name: str, ahead: tuple[Stretch, ...], decoder: ChunkDecoder) -> None:
        self.name = name
        self.topic = topic_of(name)
        self.number = number_of(name)
        self.ahead = ahead
        self.topic_id = ahead[0].topic_id
        self.delivered = self.offset = ahead[0].start
        self.end: int | None = None
        self.highwater: int | None = None
        self.proven_end: int | None = None
        self.is_missing = False
        self.is_new = True
        self.is_full = False
        self._decoder = decoder
        self._ts_ms = 0

    @property
    def open_start(self) -> int:
        """Where it goes on without end; what lies before was read once already."""
        return self.ahead[-1].start

    def adopt(self, topic_id: str) -> None:
        """Take the id of a topic that had none, as its brokers were older than 2.8."""
        self.topic_id = topic_id
        self.ahead = tuple(replace(s, topic_id=s.topic_id or topic_id) for s in self.ahead)

    def go_to(self, offset: int) -> None:
        """Fetch on from this offset, or from the next one that is to be read at all."""
        self.offset = max(offset, self._stretch(offset).start)

    def restart(self, ahead: tuple[Stretch, ...]) -> None:
        """Read something else from now on."""
        self.ahead = ahead
        self.topic_id = ahead[0].topic_id
        self.delivered = self.offset = ahead[0].start

    def chunk(self, records: Sequence[Any], position: int, arrived_s: float) -> Chunk:
        """What was fetched up to this position, as far as it is to be read."""
        stop = self._stretch(self.offset).stop
        offsets = [record.offset for record in records]
        if stop is not None and position >= stop:
            records = records[: bisect_left(offsets, stop)]
            offsets = offsets[: len(records)]
        else:
            stop = position
        raws = [record.value for record in records]
        entries = self._decoder.decode(self.number, offsets, raws)
        ts_N = event_times(entries, self._ts_ms)
        if len(ts_N):
            self._ts_ms = int(ts_N[-1])
        values = [raw or b"" for raw in raws] if None in raws else raws
        chunk = Chunk(
            topic_id=self.topic_id,
            start=self.offset,
            stop=stop,
            entries=entries,
            values=values,
            offsets=offsets,
            timestamps=[record.timestamp for record in records],
            ts_N=ts_N,
            n_bytes=sum(map(len, values)),
            arrived_s=arrived_s,
        )
        self.go_to(stop)
        return chunk

    def _stretch(self, offset: int) -> Stretch:
        return next(
            stretch for stretch in self.ahead if stretch.stop is None or offset < stretch.stop
        )
