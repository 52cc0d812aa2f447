"""Conversions from events to figures: nothing leaks, and a crash changes no bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.config import FreshrankConfig
from stream.decoding import EventDecoder
from stream.events import Conversion, Event
from stream.pipeline import Pipeline
from stream.sources.simulator import SimulatorConfig, simulate
from stream.values import DeadLetter, Outcomes, Predictions
from tests.fakes import CRASH, CrashError, ListSource
from tests.runs import SMALL, contents, pipeline_in, run_in, small_config

BATCH = 64
TASKS = {"clicks": 0.5, "conversions": 0.5}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    shop = SimulatorConfig(
        clicks=700, users=40, items=40, categories=4, days=4, late_ratio=0.1,
        conversion_ratio=0.9, conversion_taste=1.0,
    )  # fmt: skip
    records = list(simulate(shop).events())
    return list(EventDecoder().decode_rows(records, lambda i, why: DeadLetter(str(i), why, b"")))


def config_of(**learner: object) -> FreshrankConfig:
    return small_config(
        batch={"events": BATCH},
        learner=SMALL["learner"] | learner,
        joiner={"conversion_window": "1d"},
    )


class Watched:
    """A panel that keeps what was told of conversions, batch by batch."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._panel = pipeline.parts.panel
        self.told: list[list[float]] = []

    def predict(self, queries: object) -> dict[str, Predictions]:
        predictions = self._panel.predict(queries)
        told_S = predictions["transformer"].conversion_probability_S
        self.told.append([] if told_S is None else told_S.tolist())
        return predictions

    def learn(self, outcomes: Outcomes) -> None:
        self._panel.learn(outcomes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._panel, name)


def told_in(folder: Path, events: list[Event]) -> list[list[float]]:
    with pipeline_in(folder, config_of(tasks=TASKS), ListSource(events, BATCH)) as (pipeline, _):
        watched = Watched(pipeline)
        pipeline.parts = replace(pipeline.parts, panel=watched)  # type: ignore[arg-type]
        pipeline.run()
    return watched.told


def test_no_conversion_reaches_a_prediction_of_its_batch_or_before(tmp_path, events):
    """Taken out of the stream, or put to another item: what is told differs behind it alone."""
    expected = told_in(tmp_path / "as-it-was", events)
    bought = [n for n, event in enumerate(events) if isinstance(event, Conversion)]
    for number in (bought[len(bought) // 3], bought[len(bought) // 2]):
        other = [*events]
        # In its place stands one that follows no click.
        other[number] = Conversion("nobody", "nothing", events[number].ts)
        found = told_in(tmp_path / f"without-{number}", other)
        batch = number // BATCH
        assert found[: batch + 1] == expected[: batch + 1]
        assert found[batch + 1 :] != expected[batch + 1 :]


@pytest.mark.parametrize("space", ["entire", "clicked"])
def test_a_run_that_crashed_and_was_resumed_equals_one_that_never_did(tmp_path, events, space):
    config = config_of(tasks=TASKS | {"conversion_space": space})
    run_in(tmp_path / "unbroken", config, ListSource(events, BATCH))
    broken = ListSource([*events[:1_000], CRASH, *events[1_000:]], BATCH)
    with pytest.raises(CrashError):
        run_in(tmp_path / "broken", config, broken)
    run_in(tmp_path / "broken", config, ListSource(events, BATCH), resume=True)
    assert contents(tmp_path / "broken") == contents(tmp_path / "unbroken")


def test_what_was_told_is_judged_and_the_ranking_does_not_know_of_it(tmp_path, events):
    metrics = run_in(tmp_path / "with", config_of(), ListSource(events, BATCH)).metrics()
    told, counts = metrics["metrics"], metrics["counts"]
    n_judged = told["predicted_conversion_rate"]["samples"]["total"]
    assert 20 < n_judged <= counts["joined_clicks"]
    assert 0.3 < told["conversion_calibration_ratio"]["total"] < 3
    assert 0 < told["conversion_auc"]["total"] < 1
    assert "predicted_conversion_rate" not in metrics["shadows"]["popularity"]
    # Without a conversion the same is ranked, and nothing is said of conversions.
    others = [event for event in events if not isinstance(event, Conversion)]
    without = run_in(tmp_path / "without", config_of(), ListSource(others, BATCH)).metrics()
    assert "predicted_conversion_rate" not in without["metrics"]
    assert np.isclose(
        without["metrics"]["recall@20"]["total"], told["recall@20"]["total"], atol=0.02
    )
