import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.drift_feed import FedValues
from evaluators.drift_settings import Feed
from stream.values import Float64s, Reading
from tests.conformance.stateful_contract import StatefulContract

HOUR_MS = 3_600_000


class Stream:
    """A figure that is the mean of what came, sample by sample; the window `time` holds it all."""

    def __init__(self, tells_samples: bool = True) -> None:
        self._tells_samples = tells_samples
        self._last_N: Float64s = np.zeros(0)
        self._sum, self._n = 0.0, 0
        self.n_in_window: int | None = None

    def take(self, values: list[float]) -> "Stream":
        self._last_N = np.array(values, np.float64)
        self._sum += sum(values)
        self._n += len(values)
        return self

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        n = self._n if self.n_in_window is None or over == "total" else self.n_in_window
        return Reading(self._sum / self._n, n) if self._n and n else None

    def sample_values(self, metric: str, policy: str | None = None) -> Float64s | None:
        return self._last_N if self._tells_samples else None


def fed(
    feed: Feed, batches: list[list[float]], metric: str = "recall@20", min_samples: int = 1
) -> list[float]:
    stream, values = Stream(), FedValues((metric, "time", None), feed, min_samples)
    return [
        value
        for n, batch in enumerate(batches, start=1)
        for value in values.take(stream.take(batch), n * HOUR_MS // 4)
    ]


def cut(values: list[float], sizes: list[int]) -> list[list[float]]:
    batches, at = [], 0
    for size in [*sizes, len(values)]:
        batches.append(values[at : at + size])
        at += size
    return batches


@given(
    values=st.lists(st.floats(0, 1), max_size=60),
    sizes=st.lists(st.integers(0, 12), max_size=8),
    size=st.integers(1, 9),
)
def test_every_sample_is_fed_once_however_batches_are_cut(values, sizes, size):
    blocks = [values[at : at + size] for at in range(0, len(values), size)]
    expected = [math.fsum(block) / size for block in blocks if len(block) == size]
    assert fed(Feed(samples=size), cut(values, sizes)) == expected


def test_a_mean_of_samples_that_are_not_told_singly_is_that_of_what_came_since():
    stream, values = Stream(False), FedValues(("recall@20", "time", None), Feed(samples=4), 1)
    batches = [[0.5] * 3, [1.0, 1.0], [0.0, 0.0, 1.0], [], [0.25] * 4]
    taken = [values.take(stream.take(batch), 1) for batch in batches]
    # The first batch is where it starts from; a value is whole with the batch that brings the 4th.
    assert taken == [[], [], [pytest.approx(0.6)], [], [pytest.approx(0.25)]]


@pytest.mark.parametrize("metric", ["conversion_rate", "log_loss"])
def test_other_means_are_fed_as_the_mean_of_what_came_since(metric):
    batches = [[0.5] * 10, [1.0] * 2, [0.0] * 2, [0.75] * 4]
    assert fed(Feed(samples=4), batches, metric) == [pytest.approx(0.5), pytest.approx(0.75)]


def test_a_mean_over_time_is_that_of_the_samples_since_the_hour_before():
    batches = [[0.0], [0.5], [0.5], [0.5], [1.0], [1.0], [1.0], [1.0]]
    # A batch every quarter of an hour; the fourth passes the first hour, the eighth the second.
    got = fed(Feed(time_ms=HOUR_MS), batches, "recall@20")
    assert got == [pytest.approx(0.5), pytest.approx(1.0)]


def test_a_figure_that_is_no_mean_is_read_over_its_window_so_far_apart():
    batches = [[0.25]] * 4 + [[0.75]] * 4
    assert fed(Feed(time_ms=HOUR_MS), batches, "auc") == [0.25, 0.5]


def test_single_samples_are_passed_by_while_too_few_are_behind_the_figure():
    batches = [[0.1] * 3, [0.2] * 3, [0.3] * 3]
    assert fed(Feed(samples=1), batches, min_samples=5) == [0.2] * 3 + [0.3] * 3


def test_a_mean_goes_on_growing_while_too_few_are_behind_the_figure():
    stream, values = Stream(), FedValues(("log_loss", "time", None), Feed(samples=2), 50)
    values.take(stream.take([0.0] * 100), 1)
    stream.n_in_window = 49
    assert values.take(stream.take([0.0] * 4), 1) == []
    stream.n_in_window = 50
    assert values.take(stream.take([1.0] * 4), 1) == [0.5]


def test_without_a_figure_there_is_no_value():
    assert fed(Feed(samples=1), [[], [], [0.5]]) == [0.5]
    assert fed(Feed(samples=1), [[], []], "log_loss") == []
    assert fed(Feed(time_ms=HOUR_MS), [[]] * 8, "auc") == []


class TestFedBlocksState(StatefulContract):
    @staticmethod
    def make() -> tuple:
        return _Driven(("recall@20", "time", None), Feed(samples=7))

    @staticmethod
    def drive(driven: "_Driven", step: int) -> list[float]:
        return driven.take(step)


class TestFedMeansState(TestFedBlocksState):
    @staticmethod
    def make() -> "_Driven":
        return _Driven(("ctr", "time", None), Feed(time_ms=HOUR_MS))


class _Driven:
    """Values taken of a stream that depends on the step alone."""

    def __init__(self, figure: tuple[str, str, str | None], feed: Feed) -> None:
        self._values = FedValues(figure, feed, 1)

    def take(self, step: int) -> list[float]:
        stream = Stream()
        for earlier in range(step + 1):
            stream.take(np.random.default_rng(earlier).random(5).tolist())
        return self._values.take(stream, step * HOUR_MS // 2)

    def state_dict(self) -> dict:
        return self._values.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self._values.load_state_dict(state)
