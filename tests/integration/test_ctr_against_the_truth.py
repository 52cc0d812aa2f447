"""The simulator knows the true CTR; the evaluator's interval must hold it as often as it says."""

from collections.abc import Iterator

import numpy as np
import pytest

from stream.decoding import EventDecoder
from stream.sources.simulator import Simulation, SimulatorConfig, simulate
from stream.values import DeadLetter
from tests.fakes import ListSource
from tests.runs import pipeline_in, small_config

N_SHOPS = 60
HOUR_MS = 3_600_000
# Of 60 shops, more than 8 outside a 95 % interval come once in 500 times.
MOST_MISSES = 8


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, dict[str, object]]]:
    """The true CTR of each shop, and what the evaluator made of its events."""
    # The shop's clicks on lists name them; one that does not was made elsewhere.
    joiner = {"match_without_request": "never"}
    config = small_config(champion="counting", shadows=[], batch={"events": 256}, joiner=joiner)
    found = []
    for seed in range(N_SHOPS):
        simulation = simulate(
            SimulatorConfig(seed=seed, clicks=400, users=40, items=40, categories=4, days=2)
        )
        source = ListSource([*_events(simulation)], batch_events=256)
        with pipeline_in(tmp_path_factory.mktemp("shop"), config, source) as (pipeline, _):
            pipeline.run()
            found.append((_true_ctr(simulation), pipeline.metrics()["metrics"]["ctr"]))
    return found


def test_the_interval_holds_the_true_ctr_as_often_as_it_says(judged):
    outside = [not low <= true <= high for true, (low, high) in _intervals(judged)]
    assert sum(outside) <= MOST_MISSES


def test_an_interval_half_as_wide_would_not(judged):
    outside = []
    for true, (low, high) in _intervals(judged):
        middle, reach = (low + high) / 2, (high - low) / 4
        outside.append(abs(true - middle) > reach)
    assert sum(outside) > MOST_MISSES


def test_every_list_that_was_shown_is_judged_once(judged):
    total = judged[0][1]["samples"]["total"]
    simulation = simulate(
        SimulatorConfig(seed=0, clicks=400, users=40, items=40, categories=4, days=2)
    )
    shown = sum(fact["shown"] for fact in simulation.truth() if fact["type"] == "ctr_hour")
    assert total == shown


def _intervals(judged: list) -> Iterator[tuple[float, tuple[float, float]]]:
    for true, ctr in judged:
        yield true, ctr["interval"]["total"]


def _events(simulation: Simulation) -> Iterator[object]:
    """The shop's events, and one that comes when the last list has matured."""
    records = [{**record} for record in simulation.events()]
    end_ms = records[-1]["ts"] + HOUR_MS
    records.append({"type": "click", "user": "late", "item": "item-0", "ts": end_ms})
    return iter(EventDecoder().decode_rows(records, lambda i, why: DeadLetter(str(i), why, b"")))


def _true_ctr(simulation: Simulation) -> float:
    hours = [fact for fact in simulation.truth() if fact["type"] == "ctr_hour"]
    expected = np.sum([hour["expected_clicks"] for hour in hours])
    return float(expected / np.sum([hour["shown"] for hour in hours]))
