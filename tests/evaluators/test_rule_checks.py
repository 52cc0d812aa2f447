import pytest

from evaluators.alert_rules import AlertsConfig
from evaluators.rule_checks import check_rules

KS = (1, 10, 20)
BELOW = {"name": "recall_low", "kind": "below", "metric": "recall@20", "threshold": 0.18}
ABOVE = {"name": "loss_high", "kind": "above", "metric": "log_loss", "threshold": 0.7}
DROP = {"name": "ctr_drop", "kind": "drop", "metric": "ctr", "share": 0.2, "reference": "7d"}
DRIFT = {"name": "d", "kind": "drift", "metric": "recall@20", "detector": "adwin"}
SAME_TIME = {**DROP, "reference": {"same_time_before": "6d", "over": "2h"}}


def unfit(**keys) -> str:
    """Why a rule does not fit what is judged."""
    config = AlertsConfig.model_validate({"rules": [keys]})
    with pytest.raises(ValueError, match="rule") as caught:
        check_rules(config, KS)
    return str(caught.value)


def test_an_unknown_metric_gets_the_nearest_one():
    assert unfit(**BELOW | {"metric": "recal@20"}) == (
        "alerts.rules: rule recall_low: metric 'recal@20' does not exist (ranking.ks: 1, 10, 20); "
        "did you mean 'recall@20'?"
    )
    assert "metric 'crt' does not exist; did you mean 'ctr'?" in unfit(**DROP | {"metric": "crt"})


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            {**BELOW, "threshold": 1.8},
            "threshold 1.8 is outside the range of recall@20; write a number between 0 and 1",
        ),
        (
            {**BELOW, "clear": 1.5},
            "clear 1.5 is outside the range of recall@20; write a number between 0 and 1",
        ),
        (
            {**ABOVE, "threshold": -0.1},
            "threshold -0.1 is outside the range of log_loss; write a number of at least 0",
        ),
        (
            {**BELOW, "threshold": 0.0},
            "recall@20 is never below 0, so the rule could not fire; write a threshold above that",
        ),
        (
            {**ABOVE, "metric": "ctr", "threshold": 1.0},
            "ctr is never above 1, so the rule could not fire; write a threshold below that",
        ),
    ],
)
def test_a_threshold_that_the_metric_never_crosses_is_refused(rule, told):
    assert unfit(**rule) == f"alerts.rules: rule {rule['name']}: {told}"


@pytest.mark.parametrize("metric", ["ctr", "request_ctr", "conversion_rate"])
@pytest.mark.parametrize("react", ["freeze", "rollback"])
def test_weights_are_not_held_or_undone_for_what_another_policy_earned(metric, react):
    assert f"react {react} is refused on {metric}: the policy that showed" in unfit(
        **DROP | {"metric": metric, "react": react}
    )


@pytest.mark.parametrize("react", ["freeze", "rollback"])
def test_nor_for_what_a_policy_would_have_had_that_is_not_the_champions(react):
    rule = DROP | {"metric": "snips_ctr", "policy": "new", "react": react}
    assert f"react {react} is refused on snips_ctr: the policy 'new' earned it" in unfit(**rule)
    del rule["policy"]
    check_rules(AlertsConfig.model_validate({"rules": [rule]}), KS)


def test_a_policy_is_refused_where_no_figure_is_kept_by_policy():
    assert "recall@20 is not kept by policy, got policy 'main'" in unfit(
        **BELOW | {"policy": "main"}
    )


def test_a_reference_without_two_steps_in_it_is_refused():
    drop = {"name": "d", "kind": "drop", "metric": "ctr", "share": 0.2}
    for reference in ("1m", "119s"):
        config = AlertsConfig(rules=[drop | {"reference": reference}])
        with pytest.raises(ValueError, match="holds fewer than two steps of evaluate_every 1m"):
            check_rules(config, (20,))
    for reference in ("2m", "10 events"):
        check_rules(AlertsConfig(rules=[drop | {"reference": reference}]), (20,))


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({**DRIFT, "metric": "recal@20"}, "metric 'recal@20' does not exist"),
        (
            {**DRIFT, "metric": "calibration_ratio"},
            "neither side of calibration_ratio is the worse one; write direction: down, up or both",
        ),
        (
            {**DRIFT, "metric": "auc", "feed": "50 samples"},
            "feed 50 samples is refused on auc, which is no mean of its samples",
        ),
        ({**DRIFT, "metric": "ctr", "react": "rollback"}, "react rollback is refused on ctr"),
    ],
)
def test_a_drift_that_does_not_fit_its_metric_is_refused(rule, told):
    assert unfit(**rule).startswith(f"alerts.rules: rule d: {told}")


def test_a_same_time_without_two_steps_in_it_is_refused():
    config = AlertsConfig(rules=[SAME_TIME], evaluate_every="90m")
    with pytest.raises(ValueError, match=r"reference.over 2h holds fewer than two steps of eval"):
        check_rules(config, KS)
    check_rules(AlertsConfig(rules=[SAME_TIME], evaluate_every="1h"), KS)
