import json

import pytest

from stream.delivery.courier import Patience
from stream.delivery.deliveries import Deliveries, queues_with_notices
from stream.delivery.settings import AlertmanagerConfig, WebhookConfig
from stream.errors import ConfigError
from tests.receivers import Receiver, wait_until
from tests.transitions import incident_record, notice_record

QUICK = Patience(first_retry_s=0.01, last_retry_s=0.05, incident_s=60.0)


def webhook(url, name="pager", **keys):
    return WebhookConfig.model_validate({"kind": "webhook", "name": name, "url": url, **keys})


def deliveries_in(folder, *destinations, **settings):
    made = Deliveries(
        destinations, folder, "r1", settings.pop("report", [].append), patience=QUICK, **settings
    )
    made.start()
    return made


def told_to(receiver):
    return [(body["alert"], body["state"]) for body in receiver.bodies()]


def test_everybody_is_told_and_nobody_waits_for_another(tmp_path):
    with Receiver() as one, Receiver(["hang"] * 9) as other:
        made = deliveries_in(tmp_path, webhook(one.url, "one"), webhook(other.url, "other"))
        made.write(notice_record("low", "firing", 1))
        made.write(notice_record("low", "resolved", 2))
        wait_until(lambda: made.status()["one"]["delivered"] == 2)
        status = made.status()
        made.close(0.0)
    assert told_to(one) == [("alert:low", "firing"), ("alert:low", "resolved")]
    assert status["one"]["waiting"] <= 1, "accepted, and maybe about to be written down"
    assert status["other"]["waiting"] == 2
    assert status["other"]["oldest_age_s"] >= 0.0


def test_reactions_and_what_is_not_yet_an_alert_are_told_to_nobody(tmp_path):
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url))
        made.write(notice_record("low", "pending", 1))
        made.write({"seq": 1, "name": "reaction:low:boost", "reaction": "boost"})
        made.write(notice_record("low", "firing", 2))
        made.close()
    assert told_to(receiver) == [("alert:low", "firing")]


def test_whoever_wants_every_state_hears_of_every_state(tmp_path):
    states = ["pending", "firing", "resolved", "inactive"]
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url, states=states))
        for seq, state in enumerate(["pending", "inactive", "pending", "firing", "resolved"]):
            made.write(notice_record("low", state, seq))
        made.close()
    assert [state for _, state in told_to(receiver)] == [
        "pending", "inactive", "pending", "firing", "resolved",
    ]  # fmt: skip


def test_what_brings_the_journal_to_disk_is_called_before_a_notice_is(tmp_path):
    n_lines = []

    def before_write():
        n_lines.append(len((tmp_path / "deliveries" / "pager.queue").read_bytes().splitlines()))

    made = deliveries_in(tmp_path, webhook(Receiver().url), before_write=before_write)
    made.write(notice_record("low", "firing", 1))
    made.close(0.0)
    assert n_lines == [1]


def test_a_loop_that_repeats_itself_after_a_kill_tells_nobody_twice(tmp_path):
    records = [notice_record("low", "resolved" if n % 2 else "firing", n) for n in range(6)]
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url))
        for record in records[:4]:
            made.write(record)
        wait_until(lambda: len(receiver.accepted) == 4)
        made.close(0.0)  # as good as killed: what was written is in the queue
        made = deliveries_in(tmp_path, webhook(receiver.url))
        for record in records[1:]:
            made.write(record)
        made.close()
    assert [body["record"]["seq"] for body in receiver.bodies()] == [0, 1, 2, 3, 4, 5]


def test_each_instance_of_a_cluster_is_told(tmp_path):
    with Receiver() as one, Receiver() as other:
        urls = [f"http://127.0.0.1:{receiver.port}" for receiver in (one, other)]
        made = deliveries_in(tmp_path, AlertmanagerConfig(kind="alertmanager", url=urls))
        made.write(notice_record("low", "firing", 1))
        made.close()
    assert len(one.accepted) == len(other.accepted) == 1


def test_incidents_go_the_same_way(tmp_path):
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url))
        made.incidents.write(incident_record("silent", "no_events", "firing", 1))
        made.incidents.write(incident_record("silent", "no_events", "resolved", 2))
        made.close()
    assert told_to(receiver) == [
        ("incident:silent:no_events", "firing"),
        ("incident:silent:no_events", "resolved"),
    ]


def test_an_incident_that_a_killed_process_left_open_is_over_for_the_next_one(tmp_path):
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url))
        made.write(notice_record("low", "firing", 1))
        made.incidents.write(incident_record("silent", "no_events", "firing", 1))
        made.incidents.write(incident_record("gap", "clicks/0", "firing", 2))
        made.close()
        deliveries_in(tmp_path, webhook(receiver.url)).close()
    assert told_to(receiver)[3:] == [("incident:silent:no_events", "resolved")]


def test_what_is_wrong_with_a_destination_is_told_to_the_others(tmp_path):
    with Receiver() as one, Receiver() as other:
        made = deliveries_in(tmp_path, webhook(one.url, "one"), webhook(other.url, "other"))
        made.incidents.write(incident_record("delivery", "other", "firing", 1))
        made.close()
    assert told_to(one) == [("incident:delivery:other", "firing")]
    assert other.came == []


def test_a_secret_that_is_missing_refuses_to_start_and_leaves_nothing_behind(tmp_path):
    hook = webhook("http://localhost:1", auth={"bearer_env": "NOT_SET_ANYWHERE"})
    with pytest.raises(ConfigError, match=r"alerts\.deliver\.pager\.auth\.bearer_env"):
        Deliveries([webhook("http://localhost:1", "ok"), hook], tmp_path, "r1", [].append)
    assert list(tmp_path.iterdir()) == []


def test_a_queue_whose_destination_is_gone_is_named(tmp_path, caplog):
    made = deliveries_in(tmp_path, webhook(Receiver().url, "old"))
    made.write(notice_record("low", "firing", 1))
    made.close(0.0)
    deliveries_in(tmp_path, webhook(Receiver().url, "new")).close(0.0)
    assert "old.queue: no destination of alerts.deliver is called so any more" in caplog.text


def test_a_destination_that_was_away_for_a_process_hears_what_comes_after(tmp_path):
    """It was taken out of the settings, and put back: its queue knows less than the loop."""
    with Receiver() as receiver:
        made = deliveries_in(tmp_path, webhook(receiver.url))
        made.write(notice_record("low", "firing", 9))
        made.close()
        made = deliveries_in(tmp_path)
        made.write(notice_record("low", "resolved", 10))
        made.close()
        made = deliveries_in(tmp_path, webhook(receiver.url))
        made.write(notice_record("drop", "firing", 11))
        made.close()
    assert told_to(receiver) == [("alert:low", "firing"), ("alert:drop", "firing")]


def test_a_folder_says_whether_notices_of_a_run_were_taken(tmp_path):
    made = deliveries_in(tmp_path, webhook(Receiver().url))
    before = queues_with_notices(tmp_path)
    made.write(notice_record("low", "firing", 0))
    made.close(0.0)
    after = [path.name for path in queues_with_notices(tmp_path)]
    assert (before, after) == ([], ["pager.queue"])


def test_no_secret_is_on_disk_or_in_the_log(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("PAGER_TOKEN", "hunter2-hunter2")
    caplog.set_level("DEBUG")
    with Receiver([401, 400, 500], answer=b"Bearer hunter2-hunter2 is wrong") as receiver:
        hook = webhook(receiver.url, auth={"bearer_env": "PAGER_TOKEN"})
        made = deliveries_in(tmp_path, hook)
        made.write(notice_record("low", "firing", 1))
        made.write(notice_record("drop", "firing", 1))
        wait_until(lambda: receiver.accepted)
        status = json.dumps(made.status())
        made.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "deliveries").iterdir())
    assert "Bearer ***" in caplog.text
    assert "hunter2" not in caplog.text + written.decode() + status
