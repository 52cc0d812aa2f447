"""Alerts told to the real Alertmanager, which is started, killed and started again meanwhile."""

import time
from itertools import count

import pytest

from stream.delivery.checking import check_destinations
from stream.delivery.courier import Patience
from stream.delivery.deliveries import Deliveries
from stream.delivery.settings import AlertmanagerConfig
from stream.delivery.transitions import of_notice
from tests.alertmanagers import Alertmanager
from tests.receivers import Receiver, wait_until
from tests.transitions import incident_record, notice_record

QUICK = Patience(first_retry_s=0.05, last_retry_s=0.2)
RESEND_S = 0.5
# An alert that nobody tells of again resolves by itself after four intervals.
RESOLVES_S = 4 * RESEND_S


class Scene:
    """Deliveries through a recorder to an Alertmanager, and whom that notifies."""

    def __init__(self, folder):
        self.notified = Receiver()
        self.alertmanager = Alertmanager(folder, self.notified.url)
        self.recorder = Receiver(forward_to=f"127.0.0.1:{self.alertmanager.port}")
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
        """Begin, or go on as the next process does."""
        config = AlertmanagerConfig.model_validate(
            {
                "kind": "alertmanager",
                "url": f"http://127.0.0.1:{self.recorder.port}",
                "resend_interval": f"{RESEND_S * 1000:.0f}ms",
                "labels": {"env": "test"},
            }
        )
        self.deliveries = Deliveries([config], self._folder, "r1", print, patience=QUICK)
        self.deliveries.start()

    def tell(self, *transitions):
        for text in transitions:
            rule, state = text.split()
            record = notice_record(rule, state, next(self._seqs), labels={"team": "search"})
            self.deliveries.write(record)
            self.written.append(of_notice(record, "r1", 0).id)

    def arrived(self):
        """The ids of the transitions that Alertmanager has taken, in its order."""
        ids = [came.headers.get("Idempotency-Key") for came in self.recorder.accepted]
        return list(dict.fromkeys(one for one in ids if one))

    def notifications(self, rule):
        """What Alertmanager told about a rule, one after the other."""
        return [
            body["status"]
            for body in self.notified.bodies()
            if body["commonLabels"]["alertname"] == rule
        ]


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path) as made:
        yield made


def test_every_transition_arrives_in_order_whether_alertmanager_is_there_or_not(scene):
    scene.tell("low firing", "drop firing")
    wait_until(lambda: scene.alertmanager.active() == ["drop", "low"])
    scene.alertmanager.kill()
    scene.tell("low resolved", "loss firing", "loss resolved", "low firing", "ece firing")
    wait_until(lambda: next(iter(scene.deliveries.status().values()))["problem"])
    scene.alertmanager.start()
    wait_until(lambda: scene.alertmanager.active() == ["drop", "ece", "low"])
    scene.alertmanager.kill()
    scene.tell("drop resolved", "ece resolved")
    time.sleep(0.3)
    scene.alertmanager.start()
    scene.tell("auc firing")
    wait_until(lambda: len(scene.arrived()) == len(scene.written))
    assert scene.arrived() == scene.written
    wait_until(lambda: scene.alertmanager.active() == ["auc", "low"])


def test_an_alert_that_fires_does_not_resolve_by_itself(scene):
    scene.tell("low firing")
    wait_until(lambda: scene.notifications("low"))
    time.sleep(2 * RESOLVES_S)
    assert scene.alertmanager.active() == ["low"]
    assert scene.notifications("low") == ["firing"]
    scene.tell("low resolved")
    wait_until(lambda: scene.alertmanager.active() == [])
    wait_until(lambda: scene.notifications("low") == ["firing", "resolved"])


def test_without_being_told_again_it_would(scene):
    scene.tell("low firing")
    wait_until(lambda: scene.alertmanager.active() == ["low"])
    scene.deliveries.close()
    wait_until(lambda: scene.notifications("low") == ["firing", "resolved"])
    assert scene.alertmanager.active() == []


def test_an_alertmanager_that_forgot_everything_hears_of_what_fires_and_of_what_ended(scene):
    scene.tell("low firing", "drop firing")
    wait_until(lambda: scene.notifications("low") and scene.notifications("drop"))
    scene.alertmanager.kill()  # it keeps no alert on disk
    scene.alertmanager.start()
    wait_until(lambda: scene.alertmanager.active() == ["drop", "low"])
    scene.tell("low resolved")
    wait_until(lambda: len(scene.arrived()) == 3)
    scene.alertmanager.kill()  # maybe before it told anybody of the end
    scene.alertmanager.start()
    wait_until(lambda: scene.alertmanager.active() == ["drop"])


def test_the_next_process_goes_on_with_what_fires(scene):
    scene.tell("low firing")
    wait_until(lambda: scene.alertmanager.active() == ["low"])
    scene.deliveries.close(0.0)
    scene.open()
    time.sleep(1.5 * RESOLVES_S)
    assert scene.alertmanager.active() == ["low"]
    scene.tell("low resolved")
    wait_until(lambda: scene.alertmanager.active() == [])
    assert scene.notifications("low")[0] == "firing"


def test_alertmanager_has_labels_annotations_and_the_time_it_was_told_first(scene):
    scene.tell("low firing")
    wait_until(lambda: scene.alertmanager.active() == ["low"])
    (alert,) = scene.alertmanager.ask("/api/v2/alerts")
    assert alert["labels"] == {
        "alertname": "low",
        "severity": "page",
        "team": "search",
        "env": "test",
    }
    assert alert["annotations"]["summary"].startswith("alert low is firing (page)")
    (came,) = [came for came in scene.recorder.accepted if "Idempotency-Key" in came.headers]
    assert alert["startsAt"] == came.json()[0]["startsAt"]


def test_incidents_are_alerts_too(scene):
    incidents = scene.deliveries.incidents
    incidents.write(incident_record("silent", "no_events", "firing", 1))
    incidents.write(incident_record("gap", "clicks/0", "firing", 2))
    wait_until(lambda: scene.alertmanager.active() == ["gap", "silent"])
    now = {"ts_ms": round(time.time() * 1000)}
    incidents.write(incident_record("silent", "no_events", "resolved", 3, **now))
    wait_until(lambda: scene.alertmanager.active() == ["gap"])


def test_the_check_knows_it(scene):
    config = AlertmanagerConfig(kind="alertmanager", url=scene.alertmanager.url)
    (check,) = check_destinations([config])
    assert check.outcome == "ok"
    assert check.text.startswith("Alertmanager 0.")
