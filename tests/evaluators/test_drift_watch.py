import numpy as np
import pytest

from evaluators.alert_rules import Rule
from evaluators.drift_watch import DriftWatch
from stream.values import Float64s, Reading
from tests.conformance.stateful_contract import StatefulContract

RULE = {"name": "d", "kind": "drift", "metric": "recall@20", "detector": "adwin"}


class Hits:
    """Ranking samples of one batch."""

    def __init__(self, share: float, seed: int = 0) -> None:
        self._share = share
        self._hit_N = (np.random.default_rng(seed).random(200) < share).astype(np.float64)

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        return Reading(self._share, 1000)

    def sample_values(self, metric: str, policy: str | None = None) -> Float64s | None:
        return self._hit_N


def watch_after(*shares: float, **keys) -> DriftWatch:
    watch = DriftWatch(Rule.model_validate(RULE | keys))
    for n, share in enumerate(shares):
        watch.feed(Hits(share, n), n)
    return watch


def test_what_was_found_is_taken_up_once():
    watch = watch_after(0.8, 0.8, 0.3)
    assert watch.level == pytest.approx(0.7, abs=0.15)
    assert [watch.taken_up(), watch.taken_up()] == [True, False]
    assert watch.told()["detected"] == "down"


@pytest.mark.parametrize("detector", ["adwin", "page_hinkley"])
@pytest.mark.parametrize(
    ("direction", "fell", "rose"),
    [(None, True, False), ("up", False, True), ("both", True, True)],
)
def test_a_shift_to_a_side_that_is_not_asked_for_is_passed_by(detector, direction, fell, rose):
    keys = {"detector": detector, "direction": direction}
    assert watch_after(0.8, 0.8, 0.2, **keys).taken_up() is fell
    assert watch_after(0.2, 0.2, 0.8, **keys).taken_up() is rose


def test_before_the_first_drift_nothing_is_told_of_one():
    watch = watch_after(0.5, 0.5)
    assert (watch.level, watch.taken_up()) == (None, False)
    assert watch.told() == {"detector": "adwin", "detected": None, "detections": 0}


def test_the_parameters_reach_the_detector():
    assert not watch_after(0.8, 0.8, 0.5, parameters={"grace_period": 10_000}).taken_up()
    assert watch_after(0.8, 0.8, 0.5).taken_up()


@pytest.mark.parametrize("detector", ["adwin", "page_hinkley", "kswin"])
class TestDriftWatchState(StatefulContract):
    @pytest.fixture(autouse=True)
    def _of_detector(self, detector):
        feed = {"feed": "5 samples"} if detector == "kswin" else {}
        self.make = lambda: DriftWatch(Rule.model_validate(RULE | {"detector": detector} | feed))

    @staticmethod
    def drive(watch: DriftWatch, step: int) -> tuple:
        watch.feed(Hits(0.8 if step < 3 else 0.2, step), step)
        return watch.level, watch.told(), watch.taken_up()
