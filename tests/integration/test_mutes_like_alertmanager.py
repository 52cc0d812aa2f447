"""Who mutes whom is what the real Alertmanager says, given the same alerts and inhibitions."""

import json
import time
from dataclasses import dataclass

import numpy as np

from evaluators.mutes import Inhibition, Mutes
from tests.monitoring import answer, free_port, monitoring_program, running

N_CASES = 150
VALUES = {
    "severity": ["page", "warning", "info"],
    "team": ["shop", "search", ""],
    "place": ["", "a"],
}


@dataclass(frozen=True)
class Case:
    """Rules with their labels, of which some fire."""

    inhibitions: list[Inhibition]
    labels_of: dict[str, dict[str, str]]
    firing: list[str]


def test_the_real_alertmanager_inhibits_the_same_alerts(tmp_path):
    rng = np.random.default_rng(7)
    cases = [random_case(rng) for _ in range(N_CASES)]
    ours = {
        f"{number}/{rule}": bool(mutes.of(rule, case.firing, 0))
        for number, case in enumerate(cases)
        for mutes in [Mutes(case.inhibitions, [], case.labels_of)]
        for rule in case.firing
    }
    assert sum(ours.values()) > 50
    settings = {
        "route": {"receiver": "nobody"},
        "receivers": [{"name": "nobody"}],
        "inhibit_rules": [
            {
                "source_matchers": [f'case="{number}"', *matchers(one.source)],
                "target_matchers": [f'case="{number}"', *matchers(one.target)],
                "equal": list(one.equal),
            }
            for number, case in enumerate(cases)
            for one in case.inhibitions
        ],
    }
    alerts = [
        {"labels": {**case.labels_of[rule], "case": str(number)}}
        for number, case in enumerate(cases)
        for rule in case.firing
    ]
    path = tmp_path / "alertmanager.yaml"
    path.write_text(json.dumps(settings))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    flags = [
        f"--config.file={path}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(monitoring_program("prometheus-alertmanager"), flags, f"{address}/-/ready"):
        answer(f"{address}/api/v2/alerts", alerts)
        theirs: dict[str, bool] = {}
        deadline_s = time.monotonic() + 20  # it takes in what it was sent by and by
        while theirs != ours and time.monotonic() < deadline_s:
            time.sleep(0.1)
            theirs = {
                f"{one['labels']['case']}/{one['labels']['alertname']}": bool(
                    one["status"]["inhibitedBy"]
                )
                for one in answer(f"{address}/api/v2/alerts")
            }
    assert theirs == ours


def random_case(rng: np.random.Generator) -> Case:
    labels_of = {}
    for number in range(rng.integers(2, 6)):
        drawn = {name: str(rng.choice(values)) for name, values in VALUES.items()}
        given = {name: value for name, value in drawn.items() if value}
        labels_of[f"rule_{number}"] = {"alertname": f"rule_{number}", **given}
    firing = [rule for rule in labels_of if rng.random() < 0.8]
    inhibitions = [
        Inhibition.model_validate(
            {
                "source": random_matchers(rng),
                "target": random_matchers(rng),
                "equal": [name for name in VALUES if rng.random() < 0.25],
            }
        )
        for _ in range(rng.integers(1, 3))
    ]
    return Case(inhibitions, labels_of, firing)


def random_matchers(rng: np.random.Generator) -> dict[str, str | list[str]]:
    matchers: dict[str, str | list[str]] = {}
    for name in rng.permutation(list(VALUES))[: rng.integers(1, 3)]:
        value = str(rng.choice(VALUES[str(name)]))
        some = [str(one) for one in rng.choice(VALUES[str(name)], 2)]
        drawn = [value, f"!={value}", f"=~{value[:2]}.*", f"!~{'|'.join(some)}", some]
        matchers[str(name)] = drawn[rng.integers(len(drawn))]
    return matchers


def matchers(written: dict[str, str | list[str]]) -> list[str]:
    """Matchers as Alertmanager reads them; a list is an expression of its values."""
    texts = []
    for name, wanted in written.items():
        if isinstance(wanted, list):
            texts.append(f'{name}=~"{"|".join(wanted)}"')
            continue
        operator = next((one for one in ("=~", "!~", "!=") if wanted.startswith(one)), "")
        texts.append(f'{name}{operator or "="}"{wanted.removeprefix(operator)}"')
    return texts
