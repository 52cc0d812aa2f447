"""Alerts told to the real Alertmanager, which is started, killed and started again meanwhile."""

import time
from contextlib import closing
from itertools import count

import pytest

from stream.delivery.checking import check_destinations
from stream.delivery.courier import Patience
from stream.delivery.deliveries import Deliveries
from stream.delivery.settings import AlertmanagerConfig
from tests.alertmanagers import Alertmanager
from tests.receivers import Receiver, wait_until
from tests.transitions import incident_record, notice_record

QUICK = Patience(first_retry_s=0.05, last_retry_s=0.2)
RESEND_S = 0.25
# An alert that nobody tells of again resolves by itself after four intervals.
RESOLVES_S = 4 * RESEND_S


class Scene:
    """Deliveries through a recorder to an Alertmanager, and whom that notifies."""

    def __init__(self, folder):
        self.notified = Receiver()
        self.alertmanager = Alertmanager(folder, self.notified.url)
        self.recorder = Receiver(forward_to=f"127.0.0.1:{self.alertmanager.port}")
        self.config = AlertmanagerConfig.model_validate(
            {
                "kind": "alertmanager",
                "url": f"http://127.0.0.1:{self.recorder.port}",
                "resend_interval": f"{RESEND_S * 1000:.0f}ms",
            }
        )
        self.written = []
        self._folder = folder
        self._seqs = count()

    def __enter__(self):
        for server in (self.notified, self.recorder, self.alertmanager):
            server.start()
        self.open()
        return self

    def __exit__(self, *error):
        self.deliveries.close(0.0)
        for end in (self.alertmanager.kill, self.recorder.stop, self.notified.stop):
            end()

    def open(self):
        self.deliveries = Deliveries(
            [self.config], self._folder, "r1", lambda _: None, patience=QUICK
        )
        self.deliveries.start()

    def tell(self, *transitions):
        for text in transitions:
            rule, state = text.split()
            self.deliveries.write(notice_record(rule, state, next(self._seqs)))
            self.written.append((rule, state))

    def arrived(self):
        """The transitions that Alertmanager has taken, once each, in its order."""
        by_id = {}
        for came in self.recorder.accepted:
            if "Idempotency-Key" in came.headers:
                (alert,) = came.json()
                is_over = alert["endsAt"] < alert["annotations"]["told_by"]
                by_id[came.headers["Idempotency-Key"]] = alert["labels"]["alertname"], is_over
        return list(by_id.values())


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path) as made:
        yield made
