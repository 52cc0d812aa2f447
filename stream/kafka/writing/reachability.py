"""Whether a topic can be reached: said once when it is lost, and once when it is back."""

import time
from collections.abc import Callable

import structlog

from stream.kafka.writing.messages import Destination
from stream.notices import Incident

LOGGER = structlog.get_logger("freshrank.kafka")


class Reachability:
    """Tells the log at once, and after `incident_s` whoever is on duty.

    Parameters
    ----------
    destination : Destination
        What is, or is not, reached.
    report : callable
        Takes an incident.
    incident_s : float
        For how long a topic must be away to be one.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        destination: Destination,
        report: Callable[[Incident], None],
        incident_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._report = report
        self._incident_s = incident_s
        self._clock = clock
        self._lost_at_s: float | None = None
        self._is_incident = False

    @property
    def is_lost(self) -> bool:
        return self._lost_at_s is not None

    def lost(self, reason: str) -> None:
        """The topic cannot be reached, or still cannot."""
        now_s = self._clock()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
            LOGGER.warning(
                "a topic cannot be reached; its messages wait in memory",
                topic=self._destination.topic,
                setting=self._destination.setting,
                reason=reason,
            )
        lost_s = now_s - self._lost_at_s
        if lost_s >= self._incident_s and not self._is_incident:
            self._is_incident = True
            self._tell(f"cannot be reached for {round(lost_s)} s: {reason}", lost_s)

    def reached(self) -> None:
        """The topic took a message, or could have taken one."""
        if self._lost_at_s is None:
            return
        lost_s = self._clock() - self._lost_at_s
        LOGGER.info(
            "a topic is reached again", topic=self._destination.topic, lost_s=round(lost_s, 1)
        )
        if self._is_incident:
            self._tell(f"is reached again after {round(lost_s)} s", lost_s, is_resolved=True)
        self._lost_at_s = None
        self._is_incident = False

    def _tell(self, what: str, lost_s: float, is_resolved: bool = False) -> None:
        topic, setting = self._destination.topic, self._destination.setting
        self._report(
            Incident(
                kind="sink",
                name=topic,
                text=f"topic {topic} ({setting}) {what}",
                is_resolved=is_resolved,
                details={"topic": topic, "setting": setting, "lost_s": round(lost_s, 1)},
            )
        )
