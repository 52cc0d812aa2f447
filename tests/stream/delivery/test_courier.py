import json
import time

import pytest

from stream.delivery.alertmanager import Alertmanager
from stream.delivery.courier import Courier, Patience
from stream.delivery.delivery_queue import Bounds, DeliveryQueue
from stream.delivery.posting import Poster
from stream.delivery.put_aside import PutAside
from stream.delivery.settings import AlertmanagerConfig, WebhookConfig
from stream.delivery.webhook import Webhook
from tests.receivers import Receiver, wait_until
from tests.transitions import transition

QUICK = Patience(first_retry_s=0.01, last_retry_s=0.05, incident_s=0.1, stranger_s=0.3)


class Told:
    """A courier to a receiver, with all it needs."""

    def __init__(self, folder, url, patience=QUICK, kind="webhook", **keys):
        self.folder = folder
        self.incidents = []
        if kind == "webhook":
            keys = {"kind": "webhook", "name": "pager", "url": url, **keys}
            self.endpoint = Webhook(WebhookConfig.model_validate(keys))
        else:
            keys = {"kind": "alertmanager", "url": url, **keys}
            self.endpoint = Alertmanager(AlertmanagerConfig.model_validate(keys), url)
        self.bounds = Bounds(
            keys.get("queue_bytes", 8 << 20), self.endpoint.bounds.kept_after_end_ms
        )
        self.patience = patience
        self.open()

    def open(self):
        self.queue = DeliveryQueue(
            self.folder / "pager.queue", "r1", self.endpoint.wants, self.bounds
        )
        self.courier = Courier(
            self.endpoint,
            self.queue,
            Poster(0.3),
            PutAside(self.folder / "dead.jsonl"),
            self.incidents.append,
            self.patience,
        )

    def put(self, rule, state, seq, **changes):
        told = transition(rule, state, seq, told_ms=round(time.time() * 1000), **changes)
        self.queue.put(told, seq, told.record["name"])

    def close(self, timeout_s=5.0):
        self.courier.end(timeout_s)
        self.courier.join()
        self.queue.close()

    def __enter__(self):
        self.courier.start()
        return self

    def __exit__(self, *error):
        self.close()

    def dead(self):
        path = self.folder / "dead.jsonl"
        return (
            [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
        )


def put_episodes(told, n):
    for seq in range(n):
        told.put("low", "resolved" if seq % 2 else "firing", seq)


def seqs(receiver):
    return [body["record"]["seq"] for body in receiver.bodies()]


def test_what_waits_is_told_in_order(tmp_path):
    with Receiver() as receiver, Told(tmp_path, receiver.url) as told:
        put_episodes(told, 6)
        wait_until(lambda: len(receiver.accepted) == 6)
    assert seqs(receiver) == list(range(6))


@pytest.mark.parametrize("trouble", [500, 503, 408, 429, "hang", "reset", "drip"])
def test_each_transition_is_told_until_it_is_accepted(tmp_path, trouble):
    script = [trouble, 200, trouble, trouble]
    with Receiver(script) as receiver, Told(tmp_path, receiver.url) as told:
        put_episodes(told, 3)
        wait_until(lambda: len(receiver.accepted) == 3)
    assert seqs(receiver) == [0, 1, 2]
    assert len(receiver.came) == 6
    assert told.dead() == []


def test_each_try_bears_the_same_id(tmp_path):
    with Receiver([500, 500]) as receiver, Told(tmp_path, receiver.url) as told:
        told.put("low", "firing", 1)
        wait_until(lambda: receiver.accepted)
    assert len({came.headers["Idempotency-Key"] for came in receiver.came}) == 1
    assert len({came.body for came in receiver.came}) == 1


def test_a_success_makes_the_next_wait_a_short_one_again(tmp_path):
    patience = Patience(first_retry_s=0.01, last_retry_s=30.0)
    with (
        Receiver([500] * 5 + [200, 500]) as receiver,
        Told(tmp_path, receiver.url, patience) as told,
    ):
        put_episodes(told, 2)
        wait_until(lambda: len(receiver.accepted) == 2)
    assert [came.status for came in receiver.came] == [500] * 5 + [200, 500, 200]


def test_the_receivers_wish_for_patience_is_heeded(tmp_path):
    with Receiver([(429, {"Retry-After": "1"})]) as receiver, Told(tmp_path, receiver.url) as told:
        began_s = time.monotonic()
        told.put("low", "firing", 1)
        wait_until(lambda: receiver.accepted)
        assert time.monotonic() - began_s > 0.9


def test_what_is_refused_for_good_is_put_aside_once_and_the_next_is_told(tmp_path):
    with Receiver([400], answer=b"no such field") as receiver, Told(tmp_path, receiver.url) as told:
        told.put("low", "firing", 1)
        told.put("drop", "firing", 1)
        wait_until(lambda: receiver.accepted)
    assert [body["record"]["rule"] for body in receiver.bodies()] == ["drop"]
    (dead,) = told.dead()
    assert (dead["key"], dead["destination"]) == ("alert:low", "pager")
    assert dead["reason"] == "answered 400 Bad Request: no such field"
    assert [(one.kind, one.is_resolved) for one in told.incidents] == [("refused", False)]
    assert told.courier.n_refused == 1


def test_an_expired_token_loses_nothing_that_is_renewed_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGER_TOKEN", "old")
    auth = {"bearer_env": "PAGER_TOKEN"}
    patient = Patience(first_retry_s=0.01, last_retry_s=0.05, stranger_s=60.0)
    receiver = Receiver([401] * 1000)
    with receiver, Told(tmp_path, receiver.url, patient, auth=auth) as told:
        told.put("low", "firing", 1)
        wait_until(lambda: told.incidents)
        monkeypatch.setenv("PAGER_TOKEN", "new")
        receiver.script()
        wait_until(lambda: receiver.accepted)
    assert receiver.accepted[0].headers["Authorization"] == "Bearer new"
    assert [one.is_resolved for one in told.incidents] == [False, True]
    assert told.dead() == []


def test_whoever_takes_nothing_from_us_for_long_does_not_hold_up_the_queue_for_ever(tmp_path):
    with Receiver([403] * 10_000) as receiver, Told(tmp_path, receiver.url) as told:
        put_episodes(told, 3)
        wait_until(lambda: told.courier.n_refused == 3)
    assert [dead["record"]["seq"] for dead in told.dead()] == [0, 1, 2]


def test_a_secret_that_is_missing_for_a_while_is_waited_for(tmp_path):
    path = tmp_path / "token"
    path.write_text("t")
    receiver, auth = Receiver(), {"bearer_file": str(path)}
    with receiver, Told(tmp_path, receiver.url, auth=auth) as told:
        path.unlink()
        told.put("low", "firing", 1)
        wait_until(lambda: told.courier.problem)
        problem = told.courier.problem
        path.write_text("t2")
        wait_until(lambda: receiver.accepted)
    assert "token cannot be read" in problem
    assert told.courier.problem is None


def test_a_destination_that_is_away_is_an_incident_and_so_is_its_return(tmp_path):
    receiver = Receiver()
    with Told(tmp_path, receiver.url) as told:
        told.put("low", "firing", 1)
        wait_until(lambda: told.incidents)
        with receiver:
            wait_until(lambda: len(told.incidents) == 2)
    assert [one.is_resolved for one in told.incidents] == [False, True]


def test_what_a_killed_process_did_not_tell_the_next_one_does(tmp_path):
    receiver = Receiver()
    told = Told(tmp_path, receiver.url)
    put_episodes(told, 4)
    told.queue._file.close()  # killed: nothing else is done
    told.open()
    with receiver, told:
        wait_until(lambda: len(receiver.accepted) == 4)
    assert seqs(receiver) == [0, 1, 2, 3]


def test_closing_tells_what_waits(tmp_path):
    with Receiver() as receiver:
        with Told(tmp_path, receiver.url) as told:
            put_episodes(told, 20)
        assert seqs(receiver) == list(range(20))


def test_closing_does_not_wait_for_whoever_takes_nothing(tmp_path):
    told = Told(tmp_path, Receiver().url)
    with told:
        told.put("low", "firing", 1)
        wait_until(lambda: told.courier.problem)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 2.0
    told.open()
    assert len(told.queue) == 1
    told.queue.close()


def test_dropped_transitions_are_told_of_once_and_counted_at_the_end(tmp_path):
    receiver = Receiver()
    with Told(tmp_path, receiver.url, queue_bytes=1 << 16) as told:
        told.bounds = Bounds(1 << 16)
        put_episodes(told, 200)
        wait_until(lambda: any(one.kind == "dropped" for one in told.incidents))
        with receiver:
            wait_until(lambda: len(told.queue) == 0)
            wait_until(lambda: told.incidents[-1].kind == "dropped")
    dropped = [one for one in told.incidents if one.kind == "dropped"]
    assert [one.is_resolved for one in dropped] == [False, True]
    assert dropped[1].details["dropped"] == 200 - len(receiver.accepted)


def alerts_in(came):
    return [(one["labels"]["alertname"], one["endsAt"]) for one in came.json()]


def test_alerts_that_fire_are_told_to_an_alertmanager_again_and_again(tmp_path):
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        with Told(tmp_path, url, kind="alertmanager", resend_interval="100ms") as told:
            told.put("low", "firing", 1)
            told.put("drop", "firing", 1)
            wait_until(lambda: sum(len(came.json()) == 2 for came in receiver.accepted) >= 3)
    reminders = [alerts_in(came) for came in receiver.accepted if len(came.json()) == 2]
    ends = [dict(reminder)["low"] for reminder in reminders]
    assert ends == sorted(set(ends)), "each time its end lies further ahead"


def test_an_end_is_told_again_too_and_stays_where_it_was(tmp_path):
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        with Told(tmp_path, url, kind="alertmanager", resend_interval="100ms") as told:
            told.put("low", "firing", 1)
            told.put("low", "resolved", 2)
            wait_until(lambda: len(receiver.accepted) >= 6)
    ends = {end for came in receiver.accepted[2:] for _, end in alerts_in(came)}
    assert len(ends) == 1


def test_a_new_process_reminds_an_alertmanager_at_once(tmp_path):
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        with Told(tmp_path, url, kind="alertmanager", resend_interval="1h") as told:
            told.put("low", "firing", 1)
            wait_until(lambda: len(told.queue) == 0)
        receiver.came.clear()
        told.open()
        with told:
            wait_until(lambda: receiver.accepted)
    assert [name for name, _ in alerts_in(receiver.accepted[0])] == ["low"]


def test_a_failed_reminder_is_tried_again_soon(tmp_path):
    with Receiver([200, 500, 500]) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        with Told(tmp_path, url, kind="alertmanager", resend_interval="500ms") as told:
            told.put("low", "firing", 1)
            wait_until(lambda: len(receiver.accepted) == 2)
    assert [came.status for came in receiver.came[:4]] == [200, 500, 500, 200]
