"""The lanes of all partitions, and what they come to together."""

from collections.abc import Mapping, Sequence

from stream.kafka.batching.lanes import Lane, Taken, UsedUp
from stream.kafka.batching.watermarks import Standing
from stream.kafka.fetching.chunks import Chunk
from stream.kafka.fetching.handover import Mark, View
from stream.kafka.fetching.positions import Cursor, in_order


class LaneSet:
    """Lanes in the order (topic, partition); a partition that appears gets one.

    Parameters
    ----------
    max_ahead_ms : int
        A time further ahead than this is not believed.
    used_up : callable
        Is told when records of a partition wait no longer.
    """

    def __init__(self, max_ahead_ms: int, used_up: UsedUp) -> None:
        self._max_ahead_ms = max_ahead_ms
        self._used_up = used_up
        self._by_name: dict[str, Lane] = {}
        self.lanes: Sequence[Lane] = ()

    def __getitem__(self, name: str) -> Lane:
        return self._by_name[name]

    def add(self, name: str, cursor: Cursor, now_s: float) -> Lane:
        """Open the lane of a partition."""
        lane = Lane(name, cursor, self._max_ahead_ms, self._used_up)
        lane.heard_s = now_s
        self._by_name[name] = lane
        self.lanes = [self._by_name[known] for known in sorted(self._by_name, key=in_order)]
        return lane

    def receive(self, chunks: Sequence[tuple[str, Chunk]], view: View, now_s: float) -> None:
        """Put what was fetched into its lanes, and jump where that is due."""
        for name, cursor in view.started.items():
            if name not in self._by_name:
                # Where the clock, or the network, had a part in it: to be written down.
                self.add(name, cursor, now_s).is_moved = True
        for name, chunk in chunks:
            if name not in self._by_name:
                self.add(name, Cursor(chunk.start, chunk.topic_id), now_s)
            self._by_name[name].add(chunk)
        for name, mark in view.marks.items():
            if name not in self._by_name:
                self.add(name, Cursor(mark.delivered, mark.topic_id), now_s)
        for lane in self.lanes:
            lane.settle()

    @property
    def n_ready(self) -> int:
        """How many records can be taken."""
        return sum(lane.n_ready for lane in self.lanes)

    @property
    def has_moved(self) -> bool:
        """Whether a lane goes on at another offset than the journal says, without a record."""
        return any(lane.is_moved or lane.is_short for lane in self.lanes)

    def catch_up(self) -> None:
        """Go on behind offsets that have no record."""
        for lane in self.lanes:
            lane.catch_up()

    def take(self, counts: Sequence[int]) -> dict[str, list[Taken]]:
        """So many records of each lane; those that moved without a record come too, empty."""
        return {
            lane.name: lane.take(count)
            for lane, count in zip(self.lanes, counts, strict=True)
            if count or lane.is_moved
        }

    def standings(self, view: View) -> list[Standing]:
        """What is known of each partition's time."""
        return [
            Standing(
                ts_ms=lane.time.ts_ms,
                has_more=lane.n_waiting > 0 or _has_more(view.marks.get(lane.name)),
                silent_s=view.heard_s - lane.heard_s,
            )
            for lane in self.lanes
        ]

    def n_unread(self, marks: Mapping[str, Mark]) -> int:
        """How many records are known of that no batch took."""
        return sum(
            lane.n_waiting + unfetched(lane.fetched, marks.get(lane.name)) for lane in self.lanes
        )


def unfetched(fetched: int, mark: Mark | None) -> int:
    """How many offsets lie between the records that came and the end."""
    return 0 if mark is None or mark.end is None else max(0, mark.end - fetched)


def is_end_known(mark: Mark | None) -> bool:
    """Whether it is known how many records lie ahead; of a partition that is gone, none do."""
    return mark is not None and (mark.is_missing or mark.end is not None)


def _has_more(mark: Mark | None) -> bool:
    return mark is None or mark.has_more
