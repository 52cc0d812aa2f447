"""Alerts whose notices are muted: by others that fire, and by silences."""

import copy

import pytest

from evaluators.alert_rules import AlertsConfig
from evaluators.alerts import Alerts
from stream.event_times import iso_text
from stream.notices import Moment, Notice
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract

MINUTE_MS = 60_000
START_MS = 28_000_000 * MINUTE_MS
UPSTREAM = {"name": "diverged", "kind": "above", "metric": "skipped_share", "threshold": 0.5}
TARGET = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5}
INHIBIT = {"source": {"alertname": "diverged"}, "target": {"alertname": "low"}}
BY = ["alert:diverged"]


class Figures:
    def __init__(self, **value_of: float | None) -> None:
        self._value_of = value_of

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        value = self._value_of[metric]
        return None if value is None else Reading(value, 1000.0)


def config_of(**keys) -> AlertsConfig:
    return AlertsConfig.model_validate({"rules": [UPSTREAM, TARGET], **keys})


def silence(first: float, end: float, comment: str = "a deploy") -> dict:
    at = {"from": iso_text(instant(first)), "until": iso_text(instant(end))}
    return {"match": {"metric": "recall@20"}, "comment": comment, **at}


def instant(minute: float) -> int:
    return START_MS + round(minute * MINUTE_MS)


def moment_at(minute: float) -> Moment:
    return Moment(round(minute * 60), instant(minute), round(minute * 100), {})


def step(alerts: Alerts, minute: int, upstream: str, target: str) -> list[Notice]:
    """A minute in which each of the two is bad (`x`), good (`.`) or not known (`?`)."""
    skipped = {"x": 0.9, ".": 0.1, "?": None}[upstream]
    recall = {"x": 0.25, ".": 0.75, "?": None}[target]
    return alerts.step(
        Figures(**{"skipped_share": skipped, "recall@20": recall}), moment_at(minute)
    )


def passed(config: AlertsConfig, upstream: str, target: str) -> list[str]:
    """What is said of the target each minute; in brackets where it is muted."""
    alerts = Alerts(config)
    step(alerts, 0, "?", "?")
    found = []
    for minute, bad in enumerate(zip(upstream, target, strict=True), start=1):
        said = [one.record for one in step(alerts, minute, *bad) if one.rule == "low"]
        texts = [one["name"].removeprefix("alert:low:") for one in said]
        found.append(
            " ".join(
                f"({text})" if one["muted_by"] else text
                for one, text in zip(said, texts, strict=True)
            )
        )
    return found


@pytest.mark.parametrize(
    ("upstream", "target", "expected"),
    [
        pytest.param("xx.", "xxx", ["(firing)", "", "unmuted"], id="told-when-the-source-is-over"),
        pytest.param(
            "xx..", "xx..", ["(firing)", "", "(resolved)", ""], id="both-end-at-once-unheard"
        ),
        pytest.param("xxx", "x.x", ["(firing)", "(resolved)", "(firing)"], id="muted-all-along"),
        pytest.param(
            ".xx.", "xxx.", ["firing", "(muted)", "", "resolved"], id="told-then-muted-then-over"
        ),
        pytest.param(
            ".xx", "xx.", ["firing", "(muted)", "resolved"], id="its-end-is-told-as-its-beginning"
        ),
        pytest.param(".x.x", "xxxx", ["firing", "(muted)", "unmuted", "(muted)"], id="muted-again"),
        pytest.param(
            "xx?.", "xxxx", ["(firing)", "", "", "unmuted"], id="a-source-that-is-held-mutes-on"
        ),
        pytest.param("x..", "x??", ["(firing)", "unmuted", ""], id="a-target-that-is-held-is-told"),
    ],
)
def test_a_source_that_fires_mutes_its_target(upstream, target, expected):
    assert passed(config_of(inhibit=[INHIBIT]), upstream, target) == expected


def test_without_inhibition_nothing_is_muted():
    assert passed(config_of(), "xxx.", "x.xx") == ["firing", "resolved", "firing", ""]


def test_a_silence_mutes_for_its_time():
    config = config_of(silences=[silence(2, 4)])
    assert passed(config, "......", "xxxx..") == [
        "firing",
        "(muted)",
        "",
        "unmuted",
        "resolved",
        "",
    ]
    assert passed(config, "......", ".xx...") == ["", "(firing)", "", "(resolved)", "", ""]


def test_a_target_is_told_only_when_nothing_mutes_it_any_more():
    config = config_of(inhibit=[INHIBIT], silences=[silence(2, 5)])
    assert passed(config, "xxx...", "xxxxxx") == ["(firing)", "", "", "", "unmuted", ""]


def test_the_record_says_what_mutes_it():
    alerts = Alerts(config_of(inhibit=[INHIBIT], silences=[silence(0, 9, "deploy of 12th May")]))
    step(alerts, 0, "?", "?")
    notice = step(alerts, 1, "x", "x")[1]
    assert notice.record["muted_by"] == [*BY, "silence:deploy of 12th May"]
    assert notice.record["change"] == "state"
    assert alerts.states()["low"]["muted_by"] == [*BY, "silence:deploy of 12th May"]
    assert alerts.firing == ["diverged", "low"]


def test_that_a_rule_is_muted_no_longer_is_no_transition_and_tells_the_last_figures():
    alerts = Alerts(config_of(inhibit=[INHIBIT]))
    step(alerts, 0, "?", "?")
    step(alerts, 1, "x", "x")
    upstream, target = step(alerts, 2, ".", "?")
    assert (upstream.state, upstream.is_transition) == ("resolved", True)
    assert (target.state, target.is_transition) == ("firing", False)
    assert (target.ts_ms, target.since_ms) == (instant(2), instant(1))
    said = {key: target.record[key] for key in ("name", "change", "muted_by", "value", "threshold")}
    assert said == {
        "name": "alert:low:unmuted",
        "change": "unmuted",
        "muted_by": [],
        "value": 0.25,
        "threshold": 0.5,
    }


def test_other_silences_hold_from_the_next_step_on_and_rules_go_on():
    alerts = Alerts(config_of())
    step(alerts, 0, "?", "?")
    step(alerts, 1, ".", "x")
    assert alerts.reload(config_of(silences=[silence(0, 3)]), moment_at(1.5)) == []
    assert [one.record["name"] for one in step(alerts, 2, ".", "x")] == ["alert:low:muted"]
    assert alerts.reload(config_of(), moment_at(2.5)) == []
    assert [one.record["name"] for one in step(alerts, 3, ".", "x")] == ["alert:low:unmuted"]


def test_a_target_whose_source_is_withdrawn_is_told_at_the_next_step():
    alerts = Alerts(config_of(inhibit=[INHIBIT]))
    step(alerts, 0, "?", "?")
    step(alerts, 1, "x", "x")
    alerts.reload(AlertsConfig.model_validate({"rules": [TARGET]}), moment_at(1.5))
    assert [one.record["name"] for one in step(alerts, 2, "x", "x")] == ["alert:low:unmuted"]


@pytest.mark.parametrize(("upstream", "expected"), [("x", BY), (".", [])])
def test_the_end_of_a_rule_that_is_withdrawn_is_muted_as_its_beginning_was(upstream, expected):
    alerts = Alerts(config_of(inhibit=[INHIBIT]))
    step(alerts, 0, "?", "?")
    step(alerts, 1, upstream, "x")
    withdrawn = alerts.reload(AlertsConfig.model_validate({"rules": [UPSTREAM]}), moment_at(1.5))
    assert [(one.rule, one.state, one.record["muted_by"]) for one in withdrawn] == [
        ("low", "resolved", expected)
    ]


def test_a_resumed_engine_keeps_what_was_untold():
    unbroken = Alerts(config_of(inhibit=[INHIBIT]))
    step(unbroken, 0, "?", "?")
    step(unbroken, 1, "x", "x")
    resumed = Alerts(config_of())
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    notices = step(resumed, 2, ".", ".")
    assert [one.record["muted_by"] for one in notices] == [[], BY]
    assert notices == step(unbroken, 2, ".", ".")


def test_a_resumed_engine_tells_the_figures_that_were_read_before():
    stopped, resumed = Alerts(config_of(inhibit=[INHIBIT])), Alerts(config_of())
    step(stopped, 0, "?", "?")
    step(stopped, 1, "x", "x")
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    [_, notice] = step(resumed, 2, ".", "?")
    assert (notice.record["change"], notice.record["value"]) == ("unmuted", 0.25)


class TestMutedAlertsState(StatefulContract):
    @staticmethod
    def make() -> Alerts:
        return Alerts(config_of(inhibit=[INHIBIT], silences=[silence(4, 6)]))

    @staticmethod
    def drive(alerts: Alerts, number: int) -> list[Notice]:
        return step(alerts, number, ".xx..."[number % 6], ".xxxxx"[number % 6])
