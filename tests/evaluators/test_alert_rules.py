import json

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.rule_checks import check_rules
from stream.durations import WRITTEN_BY_PEOPLE, Span
from stream.errors import ConfigError
from stream.settings import read_settings

KS = (1, 10, 20)
BELOW = {"name": "recall_low", "kind": "below", "metric": "recall@20", "threshold": 0.18}
ABOVE = {"name": "loss_high", "kind": "above", "metric": "log_loss", "threshold": 0.7}
WORSE = {"name": "beaten", "kind": "worse_than", "metric": "recall@20", "shadow": "item_knn"}
DROP = {"name": "ctr_drop", "kind": "drop", "metric": "ctr", "share": 0.2, "reference": "7d"}


class Settings(BaseModel):
    alerts: AlertsConfig = AlertsConfig()


def refusal(tmp_path, *rules, **keys) -> str:
    """What a person who wrote this is told, without the file's name."""
    path = tmp_path / "freshrank.yaml"
    path.write_text(yaml.safe_dump({"alerts": {"rules": list(rules), **keys}}))
    with pytest.raises(ConfigError) as caught:
        read_settings(Settings, path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_the_rules_of_the_design_are_read():
    text = """
    evaluate_every: 1m
    rules:
      - {name: recall_low, kind: below, metric: recall@20, over: events, threshold: 0.18,
         clear: 0.20, for: 5000 events, keep_firing_for: 5m, min_samples: 1000, severity: page,
         react: boost}
      - {name: ctr_drop, kind: drop, metric: ctr, over: time, reference: 7d, share: 0.2, for: 30m,
         react: none}
    """
    config = AlertsConfig.model_validate(yaml.safe_load(text), context=WRITTEN_BY_PEOPLE)
    check_rules(config, KS)
    recall_low, ctr_drop = config.rules
    assert (recall_low.for_, recall_low.keep_firing_for) == (Span(events=5000), Span(300_000))
    assert (ctr_drop.reference, ctr_drop.for_) == (Span(604_800_000), Span(1_800_000))
    assert (recall_low.clear, ctr_drop.share, ctr_drop.min_samples) == (0.2, 0.2, 100)


@pytest.mark.parametrize(
    "rule",
    [
        BELOW,
        {**BELOW, "clear": 0.2, "for": "5000 events", "keep_firing_for": "90s"},
        {**ABOVE, "policy": "main", "severity": "page", "description": "worse than a coin"},
        {**DROP, "clear_share": 0.0, "reference": "50000 events"},
        {**WORSE, "margin": 0.01, "arl_events": 50_000, "for": "1000 events"},
    ],
)
def test_a_rule_that_was_written_down_reads_back(rule):
    config = AlertsConfig.model_validate({"rules": [rule]}, context=WRITTEN_BY_PEOPLE)
    text = yaml.safe_dump(config.model_dump(mode="json"))
    again = AlertsConfig.model_validate(yaml.safe_load(text), context=WRITTEN_BY_PEOPLE)
    assert again == config


def test_a_rule_is_written_with_the_keys_of_its_kind():
    written = Rule.model_validate({**BELOW, "for": "30m"}).model_dump(mode="json")
    assert written["for"] == "30m"
    assert not {"for_", "share", "reference", "clear", "policy"} & set(written)


def test_two_rules_with_one_name_are_refused(tmp_path):
    assert refusal(tmp_path, BELOW, {**ABOVE, "name": "recall_low"}) == (
        "alerts: two rules are named 'recall_low'; give each a name of its own, such as "
        "recall_low_2"
    )


@pytest.mark.parametrize("name", ["", "Recall", "ctr drop", "a:b", "x" * 101])
def test_a_name_that_is_no_word_is_refused(tmp_path, name):
    assert refusal(tmp_path, {**BELOW, "name": name}).startswith(
        "alerts.rules.0.name: expected 1 to 100 of a-z, 0-9, _ and -, such as recall_low (got "
    )


def test_an_unknown_key_gets_the_nearest_one(tmp_path):
    assert refusal(tmp_path, {**BELOW, "for_": "5m"}) == (
        "alerts.rules.0: rule recall_low: unknown key 'for_'; did you mean 'for'?"
    )
    assert "known keys: name, kind, metric" in refusal(tmp_path, {**BELOW, "xyz": 1})


@pytest.mark.parametrize("text", ["-5m", "-5000 events", "soon", "1.5 events"])
@pytest.mark.parametrize("key", ["for", "keep_firing_for"])
def test_a_negative_or_unclear_duration_is_refused(tmp_path, key, text):
    assert refusal(tmp_path, {**BELOW, key: text}) == (
        f"alerts.rules.0.{key}: expected a duration with its unit, such as 30m or 7d, or a number "
        f"of events, such as 5000 events (got {text!r})"
    )


@pytest.mark.parametrize("came", ["-1m", "0s", "500ms", 60])
def test_a_grid_that_is_no_time_or_finer_than_a_second_is_refused(tmp_path, came):
    assert refusal(tmp_path, evaluate_every=came).startswith("alerts.evaluate_every: ")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({**BELOW, "share": 0.2}, "share belongs to kind drop, but the rule is of kind below;"),
        ({**DROP, "clear": 0.2}, "clear belongs to kind below and above, but the rule is of kind"),
        ({**ABOVE, "reference": "7d"}, "reference belongs to kind drop"),
        ({**BELOW, "threshold": None}, "kind below needs threshold; write for example"),
        ({**DROP, "share": None}, "kind drop needs share; write for example share: 0.2"),
        ({**DROP, "reference": None}, "kind drop needs reference; write for example reference: 7d"),
        ({**DROP, "reference": "0s"}, "reference is 0"),
        ({**BELOW, "clear": 0.18}, "clear 0.18 must lie above threshold 0.18"),
        ({**ABOVE, "clear": 0.8}, "clear 0.8 must lie below threshold 0.7"),
        ({**WORSE, "shadow": None}, "kind worse_than needs shadow; write for example shadow: sess"),
        ({**WORSE, "threshold": 0.1}, "threshold belongs to kind below and above, but the rule is"),
        ({**BELOW, "margin": 0.1}, "margin belongs to kind worse_than, but the rule is of kind be"),
        ({**DROP, "clear_share": 0.2}, "clear_share 0.2 must be smaller than share 0.2"),
    ],
)
def test_keys_that_do_not_fit_the_kind_are_refused(tmp_path, rule, told):
    assert refusal(tmp_path, rule).startswith(f"alerts.rules.0: rule {rule['name']}: {told}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "bellow"),
        ("over", "week"),
        ("severity", "urgent"),
        ("react", "panic"),
        ("threshold", float("nan")),
        ("min_samples", 0),
    ],
)
def test_a_value_out_of_its_set_is_refused_by_its_key(tmp_path, key, value):
    assert refusal(tmp_path, {**BELOW, key: value}).startswith(f"alerts.rules.0.{key}: ")


@pytest.mark.parametrize(
    ("key", "value"), [("margin", -0.1), ("margin", 1.0), ("arl_events", 10), ("arl_events", 1e16)]
)
def test_what_a_detector_cannot_work_with_is_refused_by_its_key(tmp_path, key, value):
    assert refusal(tmp_path, {**WORSE, key: value}).startswith(f"alerts.rules.0.{key}: ")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_a_share_lies_strictly_between_0_and_1(tmp_path, share):
    assert refusal(tmp_path, {**DROP, "share": share}).startswith("alerts.rules.0.share: ")


@pytest.mark.parametrize(
    "reactions",
    [
        {"boost": {"replay_factor": 0.5}},
        {"boost": {"at_most": "0s"}},
        {"freeze": {"at_most": "-1d"}},
        {"rollback": {"at_most_every": "0s"}},
        {"retrain": {}},
    ],
)
def test_a_reaction_without_a_sensible_bound_is_refused(reactions):
    with pytest.raises(ValidationError, match="reactions"):
        AlertsConfig.model_validate({"reactions": reactions})


def test_a_threshold_at_the_far_end_of_the_range_is_allowed():
    rules = [{**BELOW, "threshold": 1.0}, {**ABOVE, "threshold": 0.0}]
    config = AlertsConfig.model_validate({"rules": rules})
    check_rules(config, KS)
    assert [rule.threshold for rule in config.rules] == [1.0, 0.0]


def test_other_reactions_are_free_to_watch_any_metric():
    rules = [
        {**DROP, "react": "boost"},
        {**BELOW, "react": "rollback"},
        {**ABOVE, "react": "freeze", "policy": "main"},
    ]
    config = AlertsConfig.model_validate({"rules": rules})
    check_rules(config, KS)
    assert [rule.react for rule in config.rules] == ["boost", "rollback", "freeze"]


# Labels, annotations, runbooks and mutes


MUTED = {
    "inhibit": [{"source": {"metric": "log_loss"}, "target": {"team": "shop"}, "equal": ["team"]}],
    "silences": [
        {"match": {"team": "=~sh.*"}, "from": "2024-05-01", "until": 1_714_600_000_000}
        | {"comment": "a deploy"}
    ],
}
LABELLED = {**BELOW, "labels": {"team": "shop"}, "runbook": "https://wiki/recall"}


def test_a_rule_has_its_own_labels_and_those_of_its_other_keys():
    rule = Rule.model_validate({**DROP, "policy": "main", "labels": {"team": "shop"}})
    assert rule.all_labels == {
        "alertname": "ctr_drop",
        "severity": "warning",
        "kind": "drop",
        "metric": "ctr",
        "over": "time",
        "policy": "main",
        "team": "shop",
    }


def test_labels_annotations_and_mutes_read_back_as_they_were_written():
    rule = {**LABELLED, "annotations": {"summary": "{value:.1%} of {labels.team}"}}
    config = AlertsConfig.model_validate(
        {"rules": [rule, {**ABOVE, "labels": {"team": "shop"}}]} | MUTED
    )
    written = json.loads(json.dumps(config.model_dump(mode="json")))
    assert AlertsConfig.model_validate(written, context=WRITTEN_BY_PEOPLE) == config
    assert written["silences"][0]["from"] == "2024-05-01T00:00:00Z"


def test_a_time_that_yaml_makes_a_date_of_is_an_instant():
    text = "{match: {team: shop}, from: 2024-05-01, until: 2024-05-02T06:00:00Z, comment: deploy}"
    keys = {"rules": [LABELLED], "silences": [yaml.safe_load(text)]}
    silence = AlertsConfig.model_validate(keys, context=WRITTEN_BY_PEOPLE).silences[0]
    assert silence.until - silence.from_ == 30 * 3_600_000


@pytest.mark.parametrize(
    ("rule", "keys", "told"),
    [
        (
            {"annotations": {"summary": "at {valu}"}},
            {},
            "alerts.rules.0: rule recall_low: annotations.summary: unknown field {valu}; did you",
        ),
        (
            {"labels": {"severity": "page"}},
            {},
            "alerts.rules.0.labels: severity is a label that every rule has by its own keys",
        ),
        (
            {"runbook": "javascript:alert(1)"},
            {},
            "alerts.rules.0.runbook: expected an address that begins with https://",
        ),
        (
            {},
            {"silences": [{"match": {"team": "shop"}, "from": 1, "until": 2, "comment": "x"}]},
            "alerts: silences.0.match: {team: shop} matches no rule; no rule has the label 'team'",
        ),
        (
            {},
            {"silences": [{"match": {"severity": "page"}, "form": 1, "until": 2, "comment": "x"}]},
            "alerts.silences.0: unknown key 'form'; did you mean 'from'?",
        ),
        (
            {},
            {"inhibit": [{"sources": {"severity": "page"}, "target": {"severity": "page"}}]},
            "alerts.inhibit.0.sources: unknown key; did you mean 'source'?",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_place(tmp_path, rule, keys, told):
    assert told in refusal(tmp_path, {**BELOW, **rule}, **keys)


DRIFT = {"name": "d", "kind": "drift", "metric": "recall@20", "detector": "adwin"}
SAME_TIME = {**DROP, "reference": {"same_time_before": "6d", "over": "2h"}}


@pytest.mark.parametrize(
    "rule",
    [
        DRIFT,
        {**DRIFT, "parameters": {"delta": 0.01, "clock": 4}, "direction": "both", "react": "boost"},
        {**DRIFT, "detector": "kswin", "feed": "50 samples", "keep_firing_for": "3000 events"},
        {**DRIFT, "detector": "page_hinkley", "feed": "10m"},
        SAME_TIME,
        {**SAME_TIME, "clear_share": 0.1},
    ],
)
def test_drifts_and_same_times_read_back_as_they_are_written(rule):
    config = AlertsConfig.model_validate({"rules": [rule]}, context=WRITTEN_BY_PEOPLE)
    check_rules(config, KS)
    written = config.model_dump(mode="json")
    assert {key: written["rules"][0][key] for key in rule} == {**rule}
    assert AlertsConfig.model_validate(written, context=WRITTEN_BY_PEOPLE) == config


def test_a_drift_is_kept_for_an_hour_unless_told():
    assert Rule.model_validate(DRIFT).keep_firing_for == Span(3_600_000)
    assert Rule.model_validate({**DRIFT, "keep_firing_for": "0s"}).keep_firing_for == Span(0)
    assert Rule.model_validate(BELOW).keep_firing_for == Span(0)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            {**DRIFT, "detector": "adwinn"},
            ".detector: there is no detector 'adwinn'; did you mean 'adwin'? There are adwin, ",
        ),
        (
            {**DRIFT, "parameters": {"dleta": 1}},
            ": rule d: parameters: adwin has no 'dleta'; did you mean 'delta'?",
        ),
        ({**DRIFT, "parameters": {"delta": "x"}}, ": rule d: parameters: delta: input should be a"),
        ({**DRIFT, "feed": 5}, ".feed: expected a number of samples from 1 to 100000, such as 50"),
        ({**DRIFT, "for": "5m"}, ": rule d: for 5m belongs to conditions that last, a drift is"),
        ({**DRIFT, "direction": "left"}, ".direction: input should be 'worse', 'down', 'up' or"),
        ({**DRIFT, "threshold": 0.1}, ": rule d: threshold belongs to kind below and above, but"),
        (
            {key: value for key, value in DRIFT.items() if key != "detector"},
            ": rule d: kind drift needs detector; write for example detector: adwin",
        ),
        ({**BELOW, "feed": "1h"}, ": rule recall_low: feed belongs to kind drift, but the rule is"),
        ({**DRIFT, "feeds": "1h"}, ": rule d: unknown key 'feeds'; did you mean 'feed'?"),
        (
            {**DROP, "reference": {"same_time_befor": "7d"}},
            ".reference: rule: unknown key 'same_time_befor'; did you mean 'same_time_before'?",
        ),
        (
            {**DROP, "reference": {"over": "1h"}},
            ".reference: same_time_before: field required",
        ),
        (
            {**DROP, "reference": {"same_time_before": 7}},
            ".reference: same_time_before: expected a duration with its unit, such as 500ms, 30s, ",
        ),
        (
            {**DROP, "reference": {"same_time_before": "1d", "over": "2d"}},
            ".reference: same_time_before 1d must be 1 to 10000 times over 2d; write for example ",
        ),
        (
            {**DROP, "reference": {"same_time_before": "7d", "over": "1m"}},
            ".reference: same_time_before 1w must be 1 to 10000 times over 1m; write for example ",
        ),
        ({**DROP, "reference": "a week"}, ".reference: expected a duration with its unit, such as"),
    ],
)
def test_drifts_and_same_times_that_cannot_be_are_refused(tmp_path, rule, told):
    assert refusal(tmp_path, rule).startswith(f"alerts.rules.0{told}")
