import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.windows import TIME_BUCKETS, WINDOWS, JointRanks, RankWindows, WindowSizes
from tests.conformance.stateful_contract import StatefulContract

SHAPE = (3, 6)
FADE = 0.97
SEEDS = st.integers(0, 2**32 - 1)


class Samples:
    """A raw list of samples whose times mostly move on, some of them very late."""

    def __init__(self, seed: int, n_samples: int, step_ms: int = 300) -> None:
        rng = np.random.default_rng(seed)
        self.rank_LN = rng.integers(0, SHAPE[1], (SHAPE[0], n_samples))
        late_ms = rng.integers(0, 60_000, n_samples) * (rng.random(n_samples) < 0.2)
        ts_N = 100_000 + np.arange(n_samples) * step_ms - late_ms
        self.ts_N = np.maximum(ts_N, 0)
        self.watermark_N = np.maximum.accumulate(self.ts_N)

    def feed(self, windows: RankWindows, start: int, end: int) -> None:
        if end > start:
            part = slice(start, end)
            watermark_ms = int(self.watermark_N[end - 1])
            windows.update(self.rank_LN[:, part], self.ts_N[part], watermark_ms)


def histogram(rank_LN: np.ndarray, weight_N: np.ndarray) -> np.ndarray:
    return np.array(
        [[weight_N[rank_N == rank].sum() for rank in range(SHAPE[1])] for rank_N in rank_LN]
    )


def from_scratch(samples: Samples, end: int, window_events: int, window_time_ms: int) -> dict:
    """Every window recomputed over the raw list."""
    rank_LN, ts_N = samples.rank_LN[:, :end], samples.ts_N[:end]
    bucket_ms = -(-window_time_ms // TIME_BUCKETS)
    newest_bucket = samples.watermark_N[end - 1] // bucket_ms
    age_N = np.arange(end)[::-1]
    is_recent_N = ts_N >= (newest_bucket - TIME_BUCKETS + 1) * bucket_ms
    return {
        "total": histogram(rank_LN, np.ones(end, int)),
        "events": histogram(rank_LN, (age_N < window_events).astype(int)),
        "time": histogram(rank_LN, is_recent_N.astype(int)),
        "faded": histogram(rank_LN, FADE**age_N),
    }


@given(
    seed=SEEDS,
    cuts=st.lists(st.integers(1, 120), min_size=1, max_size=8),
    window_events=st.integers(1, 150),
    window_time_ms=st.integers(60, 100_000),
)
@settings(deadline=None)
def test_every_window_equals_the_one_recomputed_from_scratch(
    seed, cuts, window_events, window_time_ms
):
    samples = Samples(seed, sum(cuts))
    windows = RankWindows(SHAPE, WindowSizes(window_events, window_time_ms, FADE))
    end = 0
    for cut in cuts:
        samples.feed(windows, end, end + cut)
        end += cut
        expected = from_scratch(samples, end, window_events, window_time_ms)
        counts = windows.counts()
        for window in ("total", "events", "time"):
            assert counts[window].tolist() == expected[window].tolist(), window
        np.testing.assert_allclose(counts["faded"], expected["faded"], rtol=1e-9, atol=1e-12)


def test_an_update_longer_than_the_window_keeps_its_last_samples():
    windows = RankWindows((1, 4), WindowSizes(events=2, time_ms=60_000, fade=1.0))
    windows.update(np.array([[1, 1, 1, 2, 3]]), np.zeros(5, np.int64), watermark_ms=0)
    assert windows.counts()["events"].tolist() == [[0, 0, 1, 1]]


def test_time_empties_its_window_when_only_the_watermark_moves():
    windows = RankWindows((1, 2), WindowSizes(events=5, time_ms=60_000, fade=1.0))
    nothing = np.zeros((1, 0), np.int64), np.zeros(0, np.int64)
    windows.update(np.array([[1]]), np.array([5_500]), watermark_ms=5_500)
    windows.update(*nothing, watermark_ms=64_999)
    assert windows.counts()["time"].tolist() == [[0, 1]]
    windows.update(*nothing, watermark_ms=65_000)
    assert windows.counts()["time"].tolist() == [[0, 0]]
    assert windows.counts()["events"].tolist() == [[0, 1]]


def test_a_sample_too_late_for_the_time_window_counts_everywhere_else():
    windows = RankWindows((1, 2), WindowSizes(events=5, time_ms=60_000, fade=1.0))
    windows.update(np.array([[1, 1]]), np.array([40_000, 100_000]), watermark_ms=100_000)
    assert {name: int(counts.sum()) for name, counts in windows.counts().items()} == {
        "total": 2,
        "events": 2,
        "time": 1,
        "faded": 2,
    }


def test_a_jump_far_ahead_empties_every_time_bucket():
    windows = RankWindows((1, 2), WindowSizes(events=5, time_ms=60_000, fade=1.0))
    windows.update(np.array([[1] * 60]), np.arange(60) * 1000, watermark_ms=59_000)
    assert windows.counts()["time"].sum() == 60
    windows.update(np.array([[0]]), np.array([10**12]), watermark_ms=10**12)
    assert windows.counts()["time"].tolist() == [[1, 0]]


def test_memory_does_not_grow_with_the_stream():
    windows = RankWindows(SHAPE, WindowSizes(events=50, time_ms=60_000, fade=FADE))
    before = bytes_in(windows.state_dict())
    samples = Samples(seed=1, n_samples=5000)
    for start in range(0, 5000, 100):
        samples.feed(windows, start, start + 100)
    assert bytes_in(windows.state_dict()) == before
    assert before == 3 * (50 + 63 * 6 * 8)


def bytes_in(state: dict) -> int:
    return sum(
        bytes_in(value) if isinstance(value, dict) else getattr(value, "nbytes", 0)
        for value in state.values()
    )


def test_one_window_is_read_as_all_of_them_are():
    windows = RankWindows(SHAPE, WindowSizes(events=70, time_ms=30_000, fade=FADE))
    Samples(seed=3, n_samples=200).feed(windows, 0, 200)
    counts = windows.counts()
    assert tuple(counts) == WINDOWS
    assert {name: windows.over(name).tolist() for name in WINDOWS} == {
        name: counts_LR.tolist() for name, counts_LR in counts.items()
    }


def test_a_window_that_does_not_exist_is_refused():
    windows = RankWindows((1, 2), WindowSizes(events=5, time_ms=60_000, fade=1.0))
    with pytest.raises(ValueError, match="total, events, time, faded, got day"):
        windows.over("day")


class TestRankWindowsState(StatefulContract):
    @staticmethod
    def make() -> RankWindows:
        return RankWindows(SHAPE, WindowSizes(events=70, time_ms=30_000, fade=FADE))

    @staticmethod
    def drive(windows: RankWindows, step: int) -> dict[str, np.ndarray]:
        Samples(seed=3, n_samples=400).feed(windows, step * 40, step * 40 + 40)
        return windows.counts()


def test_joint_ranks_count_every_pair():
    joint = JointRanks(n_shadows=2, n_ranks=3)
    joint.update(np.array([2, 2, 0]), np.array([[1, 1, 0], [0, 2, 1]]))
    assert joint.counts_SRR.tolist() == [
        [[1, 0, 0], [0, 0, 0], [0, 2, 0]],
        [[0, 1, 0], [0, 0, 0], [1, 0, 1]],
    ]


class TestJointRanksState(StatefulContract):
    @staticmethod
    def make() -> JointRanks:
        return JointRanks(n_shadows=2, n_ranks=SHAPE[1])

    @staticmethod
    def drive(joint: JointRanks, step: int) -> np.ndarray:
        rank_LN = Samples(seed=step, n_samples=30).rank_LN
        joint.update(rank_LN[0], rank_LN[1:])
        return joint.counts_SRR
