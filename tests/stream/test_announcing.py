import logging

import pytest

from stream.announcing import announce, notice_text
from stream.notices import Notice

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


def test_what_is_muted_is_not_told_and_what_no_longer_is_warns(caplog):
    caplog.set_level(logging.INFO, "freshrank.alerts")
    record = RECORD | {"state": "firing", "muted_by": ["alert:upstream"], "change": "state"}
    announce([Notice("recall_low", "firing", 10, 10, record)], [])
    assert caplog.records == []
    record |= {"muted_by": [], "change": "unmuted"}
    announce([Notice("recall_low", "firing", 10, 10, record, is_transition=False)], [])
    assert [found.levelno for found in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("alert recall_low is firing, muted no longer (page)")


def test_a_muted_transition_says_what_mutes_it():
    record = RECORD | {"state": "firing", "muted_by": ["alert:a", "silence:b"], "change": "state"}
    assert "recall_low is firing (muted by alert:a, silence:b) (page)" in notice_text(record)


def test_a_reaction_is_a_warning(caplog):
    record = {"reaction": "freeze", "action": "begin", "rule": "recall_low", "reason": ""}
    announce([], [record])
    assert caplog.messages == ["reaction freeze to recall_low: begin"]


@pytest.mark.parametrize("state", ["firing", "resolved"])
def test_what_is_told_while_catching_up_a_backlog_says_so(state):
    record = RECORD | {"state": state}
    caught_up = notice_text(record | {"catching_up": False})
    assert notice_text(record) == caught_up
    assert notice_text(record | {"catching_up": True}) == (
        f"{caught_up} (while catching up a backlog)"
    )


@pytest.mark.parametrize("state", ["resolved", "inactive"])
def test_a_withdrawn_rule_has_no_figures_to_tell(state):
    gone = dict.fromkeys(("value", "threshold", "clear", "reference", "samples"))
    record = RECORD | gone | {"state": state, "withdrawn": True, "renewed": True}
    text = f"alert recall_low is {state}: its rule was withdrawn"
    assert notice_text(record | {"catching_up": False}) == text
    assert notice_text(record | {"catching_up": True}) == f"{text} (while catching up a backlog)"
