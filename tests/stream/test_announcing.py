import logging

import pytest

from stream.announcing import announce
from stream.values import Notice

RECORD = {
    "rule": "recall_low",
    "kind": "below",
    "metric": "recall@20",
    "over": "time",
    "policy": None,
    "value": 0.1,
    "threshold": 0.2,
    "samples": 100,
    "severity": "page",
    "ts": 10,
    "since": 10,
}


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("pending", logging.INFO),
        ("firing", logging.WARNING),
        ("resolved", logging.INFO),
        ("inactive", logging.INFO),
    ],
)
def test_every_transition_is_logged_once_and_a_firing_one_warns(caplog, state, level):
    caplog.set_level(logging.INFO, "freshrank.alerts")
    announce([Notice("recall_low", state, 10, 10, RECORD | {"state": state})], [])
    assert [record.levelno for record in caplog.records] == [level]
    assert f"recall_low is {state}" in caplog.text


def test_a_reaction_is_a_warning(caplog):
    record = {"reaction": "freeze", "action": "begin", "rule": "recall_low", "reason": ""}
    announce([], [record])
    assert caplog.messages == ["reaction freeze to recall_low: begin"]
