import json

from msgspec.structs import replace

from stream.delivery.alertmanager import Alertmanager
from stream.delivery.settings import AlertmanagerConfig
from stream.delivery.transitions import of_incident
from tests.transitions import incident_record, transition


def instance_of(url="http://am-1:9093/prefix/", **keys):
    config = {"kind": "alertmanager", "url": url, **keys}
    return Alertmanager(AlertmanagerConfig.model_validate(config), url)


def alert_of(instance, told, now_ms=0):
    (alert,) = json.loads(instance.request(told, now_ms).body)
    return alert


def test_it_is_posted_to_the_api_behind_the_prefix():
    request = instance_of().request(transition("low", "firing", 4), 0)
    assert request.url == "http://am-1:9093/prefix/api/v2/alerts"


def test_an_alert_that_fires_ends_four_intervals_after_it_is_told():
    told = transition("low", "firing", 4, told_ms=1_000)
    alert = alert_of(instance_of(resend_interval="30s"), told, now_ms=60_000)
    assert alert["startsAt"] == "1970-01-01T00:00:01.000Z"
    assert alert["endsAt"] == "1970-01-01T00:03:00.000Z"


def test_an_alert_that_is_over_ended_when_that_was_told_first():
    told = replace(transition("low", "resolved", 9, told_ms=50_000), since_ms=1_000)
    alert = alert_of(instance_of(), told, now_ms=90_000)
    assert alert["startsAt"] == "1970-01-01T00:00:01.000Z"
    assert alert["endsAt"] == "1970-01-01T00:00:50.000Z"


def test_no_alert_ends_before_it_began_though_the_clock_was_set_back():
    told = replace(transition("low", "resolved", 9, told_ms=500), since_ms=90_000)
    alert = alert_of(instance_of(), told)
    assert alert["startsAt"] == alert["endsAt"] == "1970-01-01T00:00:00.500Z"


def test_labels_of_rule_and_destination_are_joined():
    told = transition("low", "firing", 4, labels={"team": "search", "env": "rule"})
    alert = alert_of(instance_of(labels={"env": "prod", "dc": "fra"}), told)
    assert alert["labels"] == {
        "alertname": "low",
        "severity": "page",
        "team": "search",
        "env": "rule",
        "dc": "fra",
    }


def test_an_alert_and_its_end_have_equal_labels():
    firing, resolved = transition("low", "firing", 4), transition("low", "resolved", 9)
    instance = instance_of()
    assert alert_of(instance, firing)["labels"] == alert_of(instance, resolved)["labels"]


def test_names_and_texts_that_alertmanager_refuses_are_made_ones_that_it_takes():
    told = transition(
        "low", "firing", 4, labels={"my-team": "ä", "2nd": "x", "none": ""},
        annotations={"a.b": "lone \ud800"},
    )  # fmt: skip
    alert = alert_of(instance_of(), told)
    assert alert["labels"].items() >= {"my_team": "ä", "_2nd": "x"}.items()
    assert "none" not in alert["labels"]
    assert alert["annotations"]["a_b"] == "lone ?"


def test_value_event_time_and_generator_are_told():
    alert = alert_of(
        instance_of(generator_url="https://grafana/d/1"), transition("low", "firing", 4)
    )
    assert alert["generatorURL"] == "https://grafana/d/1"
    assert alert["annotations"]["value"] == "0.1"
    assert alert["annotations"]["event_time"] == "2023-11-14T22:17:20.000Z"


def test_an_incident_is_an_alert_by_its_kind():
    told = of_incident(incident_record("silent", "no_events", "firing", 1), "r1")
    labels = alert_of(instance_of(), told)["labels"]
    assert labels == {"alertname": "silent", "name": "no_events", "severity": "page"}


def test_all_that_stands_is_told_again_in_one_request():
    standing = [transition("low", "firing", 4), transition("drop", "firing", 4)]
    request = instance_of().reminder(standing, 0)
    assert [alert["labels"]["alertname"] for alert in json.loads(request.body)] == ["low", "drop"]


def test_nothing_that_stands_is_no_request():
    assert instance_of().reminder([], 0) is None


def test_instances_of_a_cluster_have_names_and_files_of_their_own():
    urls = ("http://am-1:9093", "http://am-2:9093")
    config = AlertmanagerConfig(kind="alertmanager", url=urls)
    instances = [Alertmanager(config, url) for url in urls]
    assert [one.title for one in instances] == ["alertmanager@am-1_9093", "alertmanager@am-2_9093"]
    alone = Alertmanager(AlertmanagerConfig(kind="alertmanager", url=urls[:1]), urls[0])
    assert (alone.title, alone.file_stem) == ("alertmanager", instances[0].file_stem)
