"""Rules against what is judged: figures that do not exist, levels that none can reach."""

import math

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.same_time import SameTimeBefore
from evaluators.vocabulary import (
    METRICS_BY_POLICY,
    OFF_POLICY_METRICS,
    POLICY_METRICS,
    metric_ranges,
    nearest_metric,
)
from stream.durations import format_duration_ms
from stream.rule_naming import rule_title


def check_rules(config: AlertsConfig, ks: tuple[int, ...]) -> None:
    """Check the rules against what is judged.

    Parameters
    ----------
    config : AlertsConfig
        The rules.
    ks : tuple of int
        The list lengths of `ranking.ks`: they decide which figures exist.

    Raises
    ------
    ValueError
        If a rule watches a figure that does not exist, compares it with what it can never
        reach, or would learn or unlearn for a figure that another policy earned.
    """
    ranges = metric_ranges(ks)
    for rule in config.rules:
        title = f"alerts.rules: {rule_title(rule.name)}"
        if rule.metric not in ranges:
            lengths = f" (ranking.ks: {', '.join(map(str, ks))})" if "@" in rule.metric else ""
            raise ValueError(
                f"{title}: metric {rule.metric!r} does not exist{lengths}; "
                f"did you mean {nearest_metric(rule.metric, ks)!r}?"
            )
        if rule.policy is not None and rule.metric not in METRICS_BY_POLICY:
            raise ValueError(
                f"{title}: {rule.metric} is not kept by policy, got policy {rule.policy!r}; leave "
                f"it out or watch one of {', '.join(sorted(METRICS_BY_POLICY))}"
            )
        _check_levels(title, rule, ranges[rule.metric])
        _check_reference(title, rule, config.evaluate_every)
        if rule.kind == "drift":
            _check_drift(title, rule)
        whose = "the policy that showed the lists" if rule.metric in POLICY_METRICS else None
        if rule.metric in OFF_POLICY_METRICS and rule.policy is not None:
            whose = f"the policy {rule.policy!r}"
        if rule.react in ("freeze", "rollback", "switch") and whose is not None:
            raise ValueError(
                f"{title}: react {rule.react} is refused on {rule.metric}: {whose} "
                "earned it, not the champion's weights; write react: boost or none, or "
                "watch a ranking figure such as recall"
            )


def _check_reference(title: str, rule: Rule, every_ms: int) -> None:
    """A reference without a step in it is never known."""
    if isinstance(rule.reference, SameTimeBefore):
        rule.reference.check_steps(title, every_ms)
        return
    stretch_ms = None if rule.reference is None else rule.reference.time_ms
    if stretch_ms is not None and stretch_ms < 2 * every_ms:
        raise ValueError(
            f"{title}: reference {rule.reference} holds fewer than two steps of evaluate_every "
            f"{format_duration_ms(every_ms)}; write a longer reference, such as "
            f"{format_duration_ms(100 * every_ms)}"
        )


def _check_drift(title: str, rule: Rule) -> None:
    """What is fed must be had of the metric, and one side be the worse if that is asked for."""
    try:
        _ = rule.drift.sides, rule.drift.fed
    except ValueError as err:
        raise ValueError(f"{title}: {err}") from err


def _check_levels(title: str, rule: Rule, metric_range: tuple[float, float]) -> None:
    low, high = metric_range
    for key, level in (("threshold", rule.threshold), ("clear", rule.clear)):
        if level is not None and not low <= level <= high:
            raise ValueError(
                f"{title}: {key} {level:g} is outside the range of {rule.metric}; write a number "
                f"{_between(low, high)}"
            )
    never = low if rule.kind == "below" else high
    if rule.threshold == never:
        raise ValueError(
            f"{title}: {rule.metric} is never {rule.kind} {never:g}, so the rule could not fire; "
            f"write a threshold {'above' if rule.kind == 'below' else 'below'} that"
        )


def _between(low: float, high: float) -> str:
    return f"between {low:g} and {high:g}" if math.isfinite(high) else f"of at least {low:g}"
