"""Whether a destination takes what it is told: said once when it does not, and once when it does.

The log hears of it at once, whoever is on duty after a minute; at once too where it takes nothing
from us, as that does not pass by itself.
"""

import logging
import time
from collections.abc import Callable

from stream.notices import Incident

LOGGER = logging.getLogger("freshrank.delivery")

INCIDENT_KIND = "delivery"


class Contact:
    """What is known of the way to a destination.

    Parameters
    ----------
    destination : str
        Its name.
    report : callable
        Takes an incident.
    incident_s : float
        How long it must take nothing for an incident.
    clock_s : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        destination: str,
        report: Callable[[Incident], None],
        incident_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._report = report
        self._incident_s = incident_s
        self._clock_s = clock_s
        self._lost_at_s: float | None = None
        self._problem: str | None = None
        self._is_incident = False

    @property
    def problem(self) -> str | None:
        """Why it takes nothing just now; None while it does."""
        return self._problem

    def lost(self, reason: str, is_for_good: bool = False) -> float:
        """It does not take what it is told; for how many seconds so far."""
        now_s = self._clock_s()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
            LOGGER.warning("%s takes no alerts; they wait on disk: %s", self._destination, reason)
        self._problem = reason
        lost_s = now_s - self._lost_at_s
        if (is_for_good or lost_s >= self._incident_s) and not self._is_incident:
            self._is_incident = True
            self._tell(f"takes no alerts since {round(lost_s)} s: {reason}")
        return lost_s

    def reached(self) -> None:
        """It took what it was told."""
        if self._lost_at_s is None:
            return
        lost_s = self._clock_s() - self._lost_at_s
        LOGGER.info("%s takes alerts again, after %.1f s", self._destination, lost_s)
        if self._is_incident:
            self._tell(f"takes alerts again, after {round(lost_s)} s", is_resolved=True)
        self._lost_at_s = self._problem = None
        self._is_incident = False

    def _tell(self, what: str, is_resolved: bool = False) -> None:
        self._report(
            Incident(
                INCIDENT_KIND,
                self._destination,
                f"destination {self._destination} {what}",
                is_resolved=is_resolved,
                details={"destination": self._destination},
            )
        )
