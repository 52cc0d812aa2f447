"""The same series and rules give the same alerts as the real Prometheus' rule engine.

`promtool test rules` evaluates rules with Prometheus' own code. It is told what ours came to, and
compares: at every step which alerts are pending and which fire, with their labels, and since when
their condition holds. `clear` has no key in Prometheus: it is written as a query that asks whether
the alert itself fires.

What has no twin there: `drop`, whose reference stands still while the rule fires; durations in
events; and gaps. Where a series has no sample Prometheus resolves, we hold the state: a figure that
nobody clicked on is not a figure that is good again. So series are complete here.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from evaluators.alert_rules import AlertsConfig, Rule
from evaluators.alerts import Alerts
from stream.durations import format_duration_ms
from stream.notices import Moment
from stream.values import Reading
from tests.monitoring import monitoring_program

N_CASES = 16
N_STEPS = 80
LABELS = ("kind", "metric", "over", "severity", "team")


@dataclass(frozen=True)
class Case:
    """Rules that watch one figure, which has a value at every step."""

    every_ms: int
    rules: tuple[Rule, ...]
    values: tuple[float, ...]

    @property
    def start_ms(self) -> int:
        """Where the event time of the first step lies; for promtool it is 0."""
        return 1_000_000 * self.every_ms


class Figure:
    def __init__(self, value: float) -> None:
        self._value = value

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        return Reading(self._value, 1000.0)


@pytest.mark.parametrize("seed", range(5))
def test_alerts_are_at_every_step_what_prometheus_says(seed, tmp_path):
    rng = np.random.default_rng(seed)
    cases = [random_case(rng) for _ in range(N_CASES)]
    states = [ours(case) for case in cases]
    assert {state for steps in states for step in steps for _, state, _ in step} == {
        "pending",
        "firing",
    }
    assert differences(cases, states, tmp_path) == ""


@pytest.mark.parametrize("change", ["state", "since", "missing", "extra"])
def test_the_comparison_sees_a_single_step_that_differs(change, tmp_path):
    rule = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5, "for": "1m"}
    config = AlertsConfig.model_validate({"rules": [rule]})
    case = Case(60_000, config.rules, (0.75, 0.25, 0.25, 0.25, 0.75))
    states = ours(case)
    assert [len(step) for step in states] == [0, 1, 1, 1, 0]
    assert differences([case], [states], tmp_path) == ""
    name, state, since_ms = states[2][0]
    states[2] = {
        "state": [(name, "pending", since_ms)],
        "since": [(name, state, since_ms + case.every_ms)],
        "missing": [],
        "extra": states[2],
    }[change]
    if change == "extra":
        states[4] = states[3]
    assert "FAILED" in differences([case], [states], tmp_path)


def random_case(rng: np.random.Generator) -> Case:
    """Levels that last, with noise, often exactly at a threshold; durations on and off the grid."""
    every_ms = int(rng.choice([1_000, 15_000, 60_000, 240_000]))
    rules = [random_rule(rng, number, every_ms) for number in range(rng.integers(1, 5))]
    level, values = 0.5, []
    for _ in range(N_STEPS):
        if rng.random() < 0.2:
            level = float(rng.choice([0.125, 0.375, 0.5, 0.625, 0.875]))
        values.append(level + float(rng.choice([-0.125, 0, 0, 0, 0.125, 1e-12])))
    config = AlertsConfig.model_validate({"evaluate_every": every_ms, "rules": rules})
    return Case(every_ms, config.rules, tuple(values))


def random_rule(rng: np.random.Generator, number: int, every_ms: int) -> dict:
    kind = str(rng.choice(["below", "above"]))
    threshold = float(rng.choice([0.25, 0.375, 0.5, 0.625, 0.75]))
    rule = {
        "name": f"rule_{number}",
        "kind": kind,
        "metric": "recall@20",
        "threshold": threshold,
        "severity": str(rng.choice(["page", "warning", "info"])),
        "labels": {"team": str(rng.choice(["shop", "search"]))},
    }
    for key in ("for", "keep_firing_for"):
        n_steps = float(rng.choice([0, 0, 0.5, 1, 1.5, 2, 3, 7]))
        rule[key] = f"{round(n_steps * every_ms)}ms"
    if rng.random() < 0.4:
        beyond = float(rng.choice([0.125, 0.25]))
        rule["clear"] = threshold + (beyond if kind == "below" else -beyond)
    return rule


def ours(case: Case) -> list[list[tuple[str, str, int]]]:
    """The alerts that are pending or fire after each step, and since when they are true."""
    config = AlertsConfig(evaluate_every=case.every_ms, rules=case.rules)
    alerts = Alerts(config)
    alerts.step(Figure(0.0), Moment(-1, case.start_ms - case.every_ms, 0, {}))  # sets the clock
    since_ms: dict[str, int] = {}
    found = []
    for number, value in enumerate(case.values):
        moment = Moment(number, case.start_ms + number * case.every_ms, number, {})
        for notice in alerts.step(Figure(value), moment):
            since_ms[notice.rule] = notice.since_ms
        found.append(
            [
                (name, state["state"], since_ms[name])
                for name, state in alerts.states().items()
                if state["state"] != "inactive"
            ]
        )
    return found


def differences(
    cases: list[Case], states: list[list[list[tuple[str, str, int]]]], folder: Path
) -> str:
    """What promtool says of cases that came to these states; empty if it agrees."""
    promtool = monitoring_program("promtool")
    tests = []
    for number, (case, steps) in enumerate(zip(cases, states, strict=True)):
        groups = [{"name": "alerts", "rules": [promql(rule) for rule in case.rules]}]
        path = folder / f"rules-{number}.yaml"
        path.write_text(json.dumps({"groups": groups}))
        every = format_duration_ms(case.every_ms)
        tests.append(
            {
                "rule_files": [path.name],
                "evaluation_interval": every,
                "tests": [
                    {
                        "interval": every,
                        "input_series": [
                            {"series": "figure", "values": " ".join(map(repr, case.values))}
                        ],
                        "promql_expr_test": expected(case, steps),
                    }
                ],
            }
        )
    paths = []
    for number, test in enumerate(tests):
        paths.append(folder / f"test-{number}.yaml")
        paths[-1].write_text(json.dumps(test))
    done = subprocess.run(
        [promtool, "test", "rules", *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == ("FAILED" not in done.stdout + done.stderr), done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr


def promql(rule: Rule) -> dict[str, object]:
    """A rule as Prometheus reads it."""
    sign = "<" if rule.kind == "below" else ">"
    query = f"figure {sign} {rule.threshold!r}"
    if rule.clear is not None:
        itself = f'ALERTS{{alertname="{rule.name}", alertstate="firing"}}'
        query = f"({query}) or (figure {sign} {rule.clear!r} and on() {itself})"
    return {
        "alert": rule.name,
        "expr": query,
        "for": format_duration_ms(rule.for_.size),
        "keep_firing_for": format_duration_ms(rule.keep_firing_for.size),
        "labels": {name: rule.all_labels[name] for name in LABELS if name in rule.all_labels},
    }


def expected(case: Case, steps: list[list[tuple[str, str, int]]]) -> list[dict[str, object]]:
    """What promtool is to find at each step."""
    own = {
        rule.name: {name: rule.all_labels[name] for name in LABELS if name in rule.all_labels}
        for rule in case.rules
    }
    queries = []
    for number, step in enumerate(steps):
        at = format_duration_ms(number * case.every_ms)
        active = [
            {
                "labels": series("ALERTS", alertname=name, alertstate=state, **own[name]),
                "value": 1,
            }
            for name, state, _ in step
        ]
        since = [
            {
                "labels": series("ALERTS_FOR_STATE", alertname=name, **own[name]),
                "value": (since_ms - case.start_ms) // 1000,
            }
            for name, _, since_ms in step
        ]
        queries += [
            {"expr": "ALERTS", "eval_time": at, "exp_samples": active},
            {"expr": "ALERTS_FOR_STATE", "eval_time": at, "exp_samples": since},
        ]
    return queries


def series(name: str, **labels: str) -> str:
    return f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"
