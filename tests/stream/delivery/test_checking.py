import json

from stream.delivery.checking import check_destinations
from stream.delivery.settings import AlertmanagerConfig, WebhookConfig
from tests.receivers import Receiver

STATUS = json.dumps({"versionInfo": {"version": "0.25.0"}, "cluster": {}, "config": {}}).encode()


def alertmanager(port):
    return AlertmanagerConfig(kind="alertmanager", url=f"http://127.0.0.1:{port}")


def test_an_alertmanager_is_asked_how_it_is_and_sent_nothing():
    with Receiver(answer=STATUS) as receiver:
        (check,) = check_destinations([alertmanager(receiver.port)])
    assert (check.outcome, check.text) == ("ok", "Alertmanager 0.25.0")
    assert [(came.method, came.path) for came in receiver.came] == [("GET", "/api/v2/status")]


def test_what_is_no_alertmanager_is_told():
    with Receiver(answer=b"<html>") as receiver:
        (check,) = check_destinations([alertmanager(receiver.port)])
    assert check.outcome == "failed"
    assert "not as Alertmanager's API v2" in check.text


def test_an_alertmanager_that_is_down_or_refuses_us_is_told():
    with Receiver([401]) as receiver:
        checks = check_destinations([alertmanager(receiver.port)])
        checks += check_destinations([alertmanager(Receiver().port)])
    assert [check.outcome for check in checks] == ["failed", "failed"]
    assert "answered 401 Unauthorized" in checks[0].text
    assert "nobody listens there" in checks[1].text


def test_a_webhook_is_reached_without_a_request():
    with Receiver() as receiver:
        (check,) = check_destinations([WebhookConfig(kind="webhook", url=receiver.url)])
    assert (check.outcome, check.text) == ("ok", "can be reached")
    assert receiver.came == []


def test_a_webhook_that_is_down_is_told():
    (check,) = check_destinations([WebhookConfig(kind="webhook", url=Receiver().url)])
    assert (check.outcome, check.subject) == ("failed", "destination webhook")
    assert "alerts.deliver.webhook.url: cannot be reached: Connection refused" in check.text


def test_a_secret_that_is_missing_is_told():
    hook = WebhookConfig.model_validate(
        {"kind": "webhook", "url": "http://localhost:1", "auth": {"bearer_env": "NOT_SET"}}
    )
    (check,) = check_destinations([hook])
    assert check.outcome == "failed"
    assert "auth.bearer_env: the environment variable NOT_SET" in check.text
