"""Whether the brokers answer: said once when they no longer do, and once when they do again."""

import logging
from collections.abc import Callable

from stream.errors import KafkaError
from stream.kafka.cluster.connecting import find_fault
from stream.kafka.cluster.connection import is_temporary
from stream.kafka.fetching.consuming import METADATA_AGE_MS
from stream.kafka.settings import KafkaSourceConfig

LOGGER = logging.getLogger("freshrank.kafka")

# Brokers are asked about the topics at least every `METADATA_AGE_MS`: who misses two is deaf.
_DEAF_S = 2 * METADATA_AGE_MS / 1000
_UNCONNECTED_S = 1.5
_FAULT_AFTER_S = 10.0
_FAULT_EVERY_S = 10.0
# A broker that starts may refuse whom it does not know yet.
_REFUSALS = 2


class Contact:
    """What is known of the connection.

    Parameters
    ----------
    config : KafkaSourceConfig
        How the cluster is reached.
    clock : callable
        Seconds that never go back.
    find_fault : callable
        Says why a cluster does not let us in, None if it does.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        clock: Callable[[], float],
        find_fault: Callable[..., KafkaError | None] = find_fault,
    ) -> None:
        self._config = config
        self._clock = clock
        self._find_fault = find_fault
        self._was_made = False
        self._lost_s: float | None = None
        self._fault_due_s = 0.0
        self._n_refusals = 0
        self.problem: str | None = "not connected yet"

    @property
    def is_made(self) -> bool:
        """Whether the brokers answer."""
        return self.problem is None

    def refused(self, err: KafkaError) -> None:
        """Nobody let us in.

        Raises
        ------
        KafkaError
            If no waiting helps.
        """
        self._n_refusals = 0 if is_temporary(err) else self._n_refusals + 1
        if self._n_refusals and (not self._was_made or self._n_refusals >= _REFUSALS):
            raise err
        self.lost(str(err))

    def lost(self, reason: str) -> None:
        """The brokers do not answer."""
        if self._lost_s is None:
            self._lost_s = self._clock()
            self._fault_due_s = self._lost_s + _FAULT_AFTER_S
            LOGGER.warning("Kafka is not ready for us, trying again: %s", reason)
        self.problem = reason

    def made(self) -> None:
        """The brokers answer."""
        if self._lost_s is not None:
            LOGGER.info("Kafka answers again after %.1f s", self._clock() - self._lost_s)
        self._lost_s, self.problem = None, None
        self._was_made = True
        self._n_refusals = 0

    def listen(self, heard_s: float, has_connection: bool) -> None:
        """Judge by when a broker was last heard.

        Who was lost is back when it was heard since: a connection alone may be to something in
        between that leads nowhere.

        Raises
        ------
        KafkaError
            If they no longer let us in, and no waiting helps.
        """
        allowed_s = _DEAF_S if has_connection else _UNCONNECTED_S
        since_s = self._clock() - allowed_s if self._lost_s is None else self._lost_s
        if heard_s >= since_s:
            self.made()
            return
        if self._lost_s is None:
            where = ", ".join(self._config.connection.bootstrap)
            what = "do not answer" if has_connection else "ended the connection"
            self.lost(f"source.kafka.connection.bootstrap: the brokers at {where} {what}")
        if self._clock() >= self._fault_due_s:
            self._fault_due_s = self._clock() + _FAULT_EVERY_S
            if (fault := self._find_fault(self._config.connection)) is not None:
                self.refused(fault)
