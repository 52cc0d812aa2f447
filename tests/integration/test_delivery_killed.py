"""A daemon killed again and again tells everybody of every alert, in order, dead ends or not."""

import json
import random
import time

import pytest

from stream.delivery.transitions import of_notice
from tests.alertmanagers import Alertmanager
from tests.brokers import produce
from tests.daemons import Daemon, live_settings
from tests.receivers import Receiver
from tests.runs import RESTLESS, write_shop

# In what a webhook, and in what Alertmanager is told of a notice.
OF_NOTICES = (b'"alert":"alert:', b'"event_time"')
N_PARTS = 4
TROUBLES = (500, "hang", "reset", 503, 400, (429, {"Retry-After": "1"}), "drip", 422)


@pytest.fixture
def parts(tmp_path):
    """The events of a small shop, in as many parts as there are processes."""
    lines = write_shop(tmp_path / "events.jsonl", 2_500).read_bytes().splitlines()
    size = len(lines) // N_PARTS + 1
    return [lines[first : first + size] for first in range(0, len(lines), size)]


@pytest.mark.timeout(600)
def test_every_alert_of_a_daemon_that_is_killed_is_told_to_everybody(kafka, topic, parts, tmp_path):
    rng = random.Random(7)
    notified = Receiver()
    manager = Alertmanager(tmp_path, notified.url)
    recorder = Receiver(forward_to=f"127.0.0.1:{manager.port}")
    pager, stuck = Receiver(), Receiver(["hang"] * 1_000)
    name = topic(1)
    quick = {"retry_at_most": "200ms", "timeout": "500ms"}
    deliver = [
        {"kind": "webhook", "name": "pager", "url": pager.url, **quick},
        {"kind": "webhook", "name": "stuck", "url": stuck.url, "timeout": "300s"},
        {
            "kind": "alertmanager",
            "url": f"http://127.0.0.1:{recorder.port}",
            "resend_interval": "500ms",
            **quick,
        },
    ]
    settings = live_settings(kafka.bootstrap, [name], alerts={**RESTLESS, "deliver": deliver})
    n_produced = 0
    with notified, recorder, pager, stuck, manager, Daemon(settings, tmp_path / "run") as daemon:
        for part in parts:
            pager.script(*rng.sample(TROUBLES, k=4))
            produce(kafka.bootstrap, name, part)
            n_produced += len(part)
            until(daemon, lambda status, n=n_produced: status["records"] > n - 200)
            manager.kill()
            time.sleep(rng.uniform(0.0, 0.3))
            daemon.kill()
            manager.start()
            daemon.start()
        until(daemon, lambda status: status["records"] == n_produced)
        for title in ("pager", "alertmanager"):
            until(daemon, lambda status, t=title: status["deliveries"][t]["waiting"] == 0)
        until(daemon, lambda status: firing_in(manager) == sorted(status["alerts_firing"]))
        n_stuck = daemon.status()["deliveries"]["stuck"]["waiting"]
        daemon.sigterm()
        assert daemon.wait() == 0
    transitions = transitions_of(daemon)
    written = [one.id for one in transitions]
    dead = {line["id"] for line in daemon.records("deliveries/dead_deliveries.jsonl")}
    assert len(written) >= 20, "there is little to be told"
    assert dead, "nothing was refused for good"
    assert accepted_ids(recorder) == written
    # Whoever refused to hear of the beginning need not hear of the end.
    spared = dead | {
        end.id
        for begin, end in pairs_of(transitions)
        if begin.id in dead and end.id not in accepted_ids(pager)
    }
    assert accepted_ids(pager) == [one for one in written if one not in spared]
    assert n_stuck >= len(written), "somebody who does not answer was not waited for"


def transitions_of(daemon):
    """What `alerts.jsonl` tells of."""
    run_id = json.loads((daemon.out / "run.json").read_bytes())["run_id"]
    transitions = (of_notice(record, run_id, 0) for record in daemon.records("alerts.jsonl"))
    return [one for one in transitions if one and one.state in ("firing", "resolved")]


def pairs_of(transitions):
    """Each alert's beginning with its end."""
    began = {}
    for one in transitions:
        if one.state == "resolved":
            yield began[one.key], one
        began[one.key] = one


def accepted_ids(receiver):
    """The ids of notices that were taken, once each, in the order they were taken first."""
    ids = [
        came.headers["Idempotency-Key"]
        for came in receiver.accepted
        if "Idempotency-Key" in came.headers and any(mark in came.body for mark in OF_NOTICES)
    ]
    return list(dict.fromkeys(ids))


def firing_in(manager):
    """The rules that fire, as Alertmanager has it; incidents left out."""
    return [
        name for name in manager.active() if name in {rule["name"] for rule in RESTLESS["rules"]}
    ]


def until(daemon, is_so):
    """Return when the daemon says so; it may be at its start."""

    def is_told():
        time.sleep(0.1)
        status = daemon.status()
        return status and is_so(status)

    daemon.wait_until(is_told, timeout_s=120.0)
