"""Records that were not read yet and are gone: what is said of them, and whether to go on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stream.errors import GapError
from stream.kafka.fetching.positions import Stretch, number_of, topic_of
from stream.notices import Incident

LOGGER = logging.getLogger("freshrank.kafka")

Cause = Literal["retention", "recreated", "shortened"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A jump of a partition from one offset to another, over records that cannot be read.

    `is_bound` says that more may be lost than `lost_records`.
    """

    name: str
    cause: Cause
    start: int
    stop: int
    lost_records: int
    is_bound: bool = False

    @property
    def text(self) -> str:
        """What happened, in a sentence.

        Examples
        --------
        >>> Gap("clicks/0", "retention", 40, 100, 60).text
        'clicks[0]: 60 records from offset 40 on were deleted before they were read; the first one \
left is at 100'
        """
        where = f"{topic_of(self.name)}[{number_of(self.name)}]"
        lost = f"at least {self.lost_records}" if self.is_bound else f"{self.lost_records}"
        if self.cause == "retention":
            return (
                f"{where}: {lost} records from offset {self.start} on were deleted before they "
                f"were read; the first one left is at {self.stop}"
            )
        if self.cause == "recreated":
            return (
                f"{where}: the topic was deleted and created again; {lost} records from offset "
                f"{self.start} on were not read, and the new topic begins at {self.stop}"
            )
        return (
            f"{where}: its log was shortened to offset {self.stop}, and {self.start} was the next "
            f"one to be read (an unclean leader election?); what was written again in between, "
            f"{lost} records, is not read"
        )


class Gaps:
    """Decides what a gap means, as `source.kafka.on_gap` says; tells of topics that are gone.

    Parameters
    ----------
    may_pass : bool
        Whether the reading goes on behind a gap.
    report : callable
        Takes the incident then.
    """

    def __init__(self, may_pass: bool, report: Callable[[Incident], None]) -> None:
        self._may_pass = may_pass
        self._report = report

    def met(self, gap: Gap) -> None:
        """Tell of a gap.

        Raises
        ------
        GapError
            If the reading must not go on behind it.
        """
        if not self._may_pass:
            raise GapError(
                f"{gap.text}; to go on there, set source.kafka.on_gap: earliest, or start with an "
                "empty checkpoint.dir"
            )
        LOGGER.error("%s; going on there, as source.kafka.on_gap says", gap.text)
        self._report(
            Incident(
                kind="gap",
                name=gap.name,
                text=gap.text,
                severity="page",
                details={
                    "cause": gap.cause,
                    "from_offset": gap.start,
                    "to_offset": gap.stop,
                    "lost_records": gap.lost_records,
                    "is_lower_bound": gap.is_bound,
                },
            )
        )

    def topic_lost(self, topic: str) -> None:
        """A topic is not there any more: what was not read of it is gone, and nothing comes."""
        text = f"topic {topic} does not exist any more; waiting for it to come back"
        LOGGER.error("%s", text)
        self._report(Incident("topic", topic, text, "page"))

    def topic_found(self, topic: str) -> None:
        """A topic of that name is there again."""
        text = f"topic {topic} exists again"
        LOGGER.info("%s", text)
        self._report(Incident("topic", topic, text, "page", is_resolved=True))


def n_offsets(ahead: tuple[Stretch, ...], start: int, stop: int, topic_id: str) -> int:
    """How many offsets from `start` up to `stop` were to be read.

    Of the last stretch, which has no end, those up to `stop` count; holes between stretches do
    not: what is gone there was known to be gone before.

    Examples
    --------
    >>> n_offsets((Stretch("9f", 0, 10), Stretch("9f", 40)), start=5, stop=50, topic_id="9f")
    15
    """
    n_lost = 0
    for stretch in ahead:
        if stretch.topic_id == topic_id:
            last = stop if stretch.stop is None else min(stop, stretch.stop)
            n_lost += max(0, last - max(start, stretch.start))
    return n_lost
