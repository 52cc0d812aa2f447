import hashlib
import hmac
import json

from stream.delivery.settings import WebhookConfig
from stream.delivery.webhook import Webhook
from tests.transitions import transition


def webhook_of(**keys):
    return Webhook(WebhookConfig.model_validate({"kind": "webhook", "name": "pager", **keys}))


def test_the_body_tells_everything_and_the_header_the_id():
    told = transition("low", "firing", 4, labels={"team": "search"})
    request = webhook_of(url="http://localhost:1/x").request(told, 99)
    body = json.loads(request.body)
    assert request.headers["Idempotency-Key"] == body["id"] == told.id
    assert (body["alert"], body["state"], body["severity"]) == ("alert:low", "firing", "page")
    assert body["labels"] == {"team": "search", "alertname": "low", "severity": "page"}
    assert body["told_at"] == "1970-01-01T00:00:01.000Z"
    assert body["record"] == told.record


def test_the_same_bytes_are_sent_whenever_it_is_tried():
    told = transition("low", "firing", 4)
    webhook = webhook_of(url="http://localhost:1/x")
    assert webhook.request(told, 99) == webhook.request(told, 100)


def test_a_signed_body_can_be_checked_by_whoever_knows_the_secret(monkeypatch):
    monkeypatch.setenv("SHARED", "s3cret")
    sign = {"secret_env": "SHARED", "header": "X-Hub-Signature-256"}
    request = webhook_of(url="http://localhost:1/x", sign=sign).request(
        transition("low", "firing", 4), 99
    )
    expected = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Hub-Signature-256"] == f"sha256={expected}"


def test_an_address_out_of_the_environment_is_a_secret(monkeypatch):
    monkeypatch.setenv("HOOK", "https://chat.example.org/hooks/abc")
    request = webhook_of(url_env="HOOK").request(transition("low", "firing", 4), 99)
    assert request.url in request.secrets


def test_nobody_is_reminded():
    webhook = webhook_of(url="http://localhost:1/x")
    assert webhook.reminder([transition("low", "firing", 4)], 99) is None
