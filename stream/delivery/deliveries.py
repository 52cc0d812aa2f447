"""Everybody who is told of alerts and incidents: a queue and a thread each.

Nobody waits for a destination: a transition is on disk when it is handed over, and its destination
hears of it when it can.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stream.delivery.alertmanager import Alertmanager
from stream.delivery.courier import Courier, Endpoint, Patience
from stream.delivery.delivery_queue import DeliveryQueue
from stream.delivery.posting import Poster
from stream.delivery.put_aside import PutAside
from stream.delivery.queue_file import last_seq
from stream.delivery.settings import AlertmanagerConfig, WebhookConfig
from stream.delivery.transitions import (
    ended_with_its_process,
    is_incident,
    of_incident,
    of_notice,
)
from stream.delivery.webhook import Webhook
from stream.notices import Incident
from stream.values import Record

LOGGER = logging.getLogger("freshrank.delivery")

DELIVERIES_FOLDER = "deliveries"
DEAD_DELIVERIES_FILE = "dead_deliveries.jsonl"

_QUEUE_SUFFIX = ".queue"

DestinationsConfig = Sequence[WebhookConfig | AlertmanagerConfig]

# What these say of a destination is told to all others.
_ABOUT_DESTINATIONS = ("delivery", "refused", "dropped")


def queues_with_notices(out: Path) -> list[Path]:
    """The queues in a folder that have taken notices of a run, told by now or not."""
    found = sorted((out / DELIVERIES_FOLDER).glob(f"*{_QUEUE_SUFFIX}"))
    return [path for path in found if last_seq(path) is not None]


def endpoints_of(destinations: DestinationsConfig) -> list[Webhook | Alertmanager]:
    """Whom the settings name; of Alertmanager each instance by itself."""
    found: list[Webhook | Alertmanager] = []
    for config in destinations:
        if isinstance(config, WebhookConfig):
            found.append(Webhook(config))
        else:
            found += [Alertmanager(config, url) for url in config.url]
    return found


class Lane:
    """One destination with what waits for it."""

    def __init__(self, endpoint: Endpoint, queue: DeliveryQueue, courier: Courier) -> None:
        self.endpoint = endpoint
        self.queue = queue
        self.courier = courier

    def status(self) -> dict[str, Any]:
        """How it stands."""
        oldest_ms = self.queue.oldest_ms
        age_s = None if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
        return {
            "waiting": len(self.queue),
            "oldest_age_s": None if age_s is None else round(age_s, 1),
            "delivered": self.courier.n_delivered,
            "refused": self.courier.n_refused,
            "dropped": self.queue.n_dropped,
            "problem": self.courier.problem,
        }


class Deliveries:
    """Hands transitions to every destination that wants them.

    `write` takes the records of notices, as they are written to `alerts.jsonl`, and passes by what
    it was given before; `incidents` is a sink of incidents. Muted notices are not told.

    Parameters
    ----------
    destinations : sequence
        Who is told.
    out : Path
        The run's folder: queues lie in its `deliveries`.
    run_id : str
        The run, a part of every id.
    report : callable
        Takes what goes wrong with a destination.
    before_write : callable
        Called before a notice is put on disk: what it brings to disk is there before the notice.
    patience : Patience, optional
        How long to wait for what; by default what the settings say.

    Raises
    ------
    ConfigError
        If a secret cannot be read.
    SinkError
        If a queue cannot be opened; from `write` and `flush`, if it cannot be written.
    """

    def __init__(
        self,
        destinations: DestinationsConfig,
        out: Path,
        run_id: str,
        report: Callable[[Incident], None],
        before_write: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        folder = out / DELIVERIES_FOLDER
        self._run_id = run_id
        self._before_write = before_write
        self._lock = threading.Lock()  # a notice is put into all queues before the next one
        aside = PutAside(folder / DEAD_DELIVERIES_FILE)
        self._lanes: list[Lane] = []
        endpoints = endpoints_of(destinations)
        for endpoint in endpoints:  # a refusal leaves nothing behind
            endpoint.check_secrets()
        for endpoint in endpoints:
            config = endpoint.config
            path = folder / f"{endpoint.file_stem}{_QUEUE_SUFFIX}"
            queue = DeliveryQueue(path, run_id, endpoint.wants, endpoint.bounds)
            waits = patience or Patience(
                first_retry_s=min(1.0, config.retry_at_most / 1000),
                last_retry_s=config.retry_at_most / 1000,
            )
            poster = Poster(config.timeout / 1000)
            courier = Courier(endpoint, queue, poster, aside, report, waits)
            self._lanes.append(Lane(endpoint, queue, courier))
        _tell_of_abandoned(folder, {lane.endpoint.file_stem for lane in self._lanes})

    def start(self) -> None:
        """Begin to tell what waits, and what comes.

        Incidents that an earlier process left open are over: what goes on is seen anew.
        """
        for lane in self._lanes:
            for told in lane.queue.open_alerts():
                if is_incident(told):
                    lane.queue.put(ended_with_its_process(told, round(time.time() * 1000)))
            lane.courier.start()

    def write(self, record: Record) -> None:
        """Hand over the record of a notice; that of a reaction is passed by."""
        told = of_notice(record, self._run_id, round(time.time() * 1000))
        if told is None or not self._lanes:
            return
        self._before_write()
        with self._lock:
            for lane in self._lanes:
                lane.queue.put(told, record["seq"], record["name"])

    def flush(self) -> None:
        """Return when all that was handed over is on disk."""
        for lane in self._lanes:
            lane.queue.flush()

    @property
    def incidents(self) -> "IncidentDeliveries":
        """Where incidents are handed over."""
        return IncidentDeliveries(self._run_id, self._lanes)

    def status(self) -> dict[str, dict[str, Any]]:
        """How each destination stands; any thread may ask."""
        return {lane.endpoint.title: lane.status() for lane in self._lanes}

    @property
    def n_waiting(self) -> int:
        """Transitions that wait, for all destinations together."""
        return sum(len(lane.queue) for lane in self._lanes)

    def close(self, timeout_s: float = 5.0) -> None:
        """Tell what waits, for some seconds in all; the rest stays on disk."""
        for lane in self._lanes:
            lane.courier.end(timeout_s)
        for lane in self._lanes:
            lane.courier.join()
            lane.queue.close()
        if self.n_waiting:
            LOGGER.warning(
                "%d alerts are not delivered yet; they wait on disk, and the run tells them when "
                "it goes on",
                self.n_waiting,
            )


class IncidentDeliveries:
    """Takes the records of incidents, from any thread, and waits for nobody."""

    def __init__(self, run_id: str, lanes: Sequence[Lane]) -> None:
        self._run_id = run_id
        self._lanes = lanes

    def write(self, record: Record) -> None:
        """Hand over an incident; what is wrong with a destination is told to the others."""
        told = of_incident(record, self._run_id)
        about = record["name"] if record["kind"] in _ABOUT_DESTINATIONS else None
        for lane in self._lanes:
            if lane.endpoint.title != about:
                lane.queue.put(told)


def _tell_of_abandoned(folder: Path, stems: set[str]) -> None:
    """Name queues of destinations that the settings no longer know."""
    for path in sorted(folder.glob(f"*{_QUEUE_SUFFIX}")):
        if path.stem not in stems:
            LOGGER.warning(
                "%s: no destination of alerts.deliver is called so any more; what waits there is "
                "not delivered, and the file may be removed",
                path,
            )
