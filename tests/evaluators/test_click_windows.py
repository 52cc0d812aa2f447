import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from evaluators.click_windows import ProbabilityWindows, ShareWindows
from evaluators.row_windows import RowSamples, row_samples
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=50, time_ms=60_000, fade=0.95)


def one_row(n_samples: int, slot: int = 0) -> RowSamples:
    return row_samples(np.zeros(n_samples, np.int64), np.full(n_samples, slot), 1, SIZES.fade)


def drawn(step: int, n_rows: int) -> tuple[RowSamples, np.ndarray, np.ndarray]:
    """Samples of some rows, with probabilities and clicks."""
    rng = np.random.default_rng(step)
    row_S = np.sort(rng.integers(0, n_rows, 40))
    samples = row_samples(row_S, np.full(40, step), n_rows, SIZES.fade)
    probability_S = rng.beta(1, 4, 40)
    return samples, probability_S, rng.random(40) < probability_S


def readings(windows: ProbabilityWindows, n_rows: int) -> list[dict[str, Reading]]:
    return [windows.figures(over, row) for row in range(n_rows) for over in WINDOWS]


class TestShareWindowsState(StatefulContract):
    make = staticmethod(lambda: ShareWindows(SIZES))

    @staticmethod
    def drive(windows: ShareWindows, step: int) -> list[Reading | None]:
        samples, _, is_clicked_S = drawn(step, n_rows=1 + step // 2)
        windows.empty(np.array([step - 3]))
        windows.update(samples, is_clicked_S)
        return [windows.reading(over, row) for row in range(3) for over in WINDOWS]


class TestProbabilityWindowsState(StatefulContract):
    make = staticmethod(lambda: ProbabilityWindows(SIZES))

    @staticmethod
    def drive(windows: ProbabilityWindows, step: int) -> list[object]:
        windows.empty(np.array([step - 3]))
        windows.update(*drawn(step, n_rows=1 + step // 2))
        return [*readings(windows, 3), windows.reliability(0)]


def test_a_row_without_a_sample_has_no_reading():
    shares, probabilities = ShareWindows(SIZES), ProbabilityWindows(SIZES)
    for row in (0, 7):
        assert {shares.reading(over, row) for over in WINDOWS} == {None}
        assert {probabilities.reading("auc", over, row) for over in WINDOWS} == {None}
        assert probabilities.reliability(row) == []
    assert readings(probabilities, 1) == [{}] * 4


def test_a_reading_is_what_all_figures_say():
    windows = ProbabilityWindows(SIZES)
    windows.update(*drawn(0, n_rows=2))
    for over in WINDOWS:
        for row in range(2):
            for name, reading in windows.figures(over, row).items():
                assert windows.reading(name, over, row) == reading


def test_counts_of_whole_windows_are_integers():
    windows = ProbabilityWindows(SIZES)
    windows.update(*drawn(0, n_rows=1))
    samples = {over: windows.reading("log_loss", over, 0).samples for over in WINDOWS}
    assert [type(samples[over]) for over in WINDOWS] == [int, int, int, float]
    assert samples["total"] == samples["events"] == samples["time"] == 40


def test_probabilities_that_round_to_0_or_1_have_a_finite_loss():
    windows = ProbabilityWindows(SIZES)
    probability_S = np.array([1e-300, 1 - 2**-53, 5e-324])
    is_clicked_S = np.array([True, False, False])
    windows.update(one_row(3), probability_S, is_clicked_S)
    expected = log_loss(is_clicked_S, probability_S)
    for over in ("total", "events", "time"):
        assert windows.reading("log_loss", over, 0).value == pytest.approx(expected, rel=1e-12)
    assert windows.reading("auc", "events", 0).value == roc_auc_score(is_clicked_S, probability_S)


def test_a_long_stream_does_not_drift():
    windows = ProbabilityWindows(SIZES)
    rng = np.random.default_rng(3)
    probability_S = rng.beta(1, 20, 300_000)
    is_clicked_S = rng.random(300_000) < probability_S
    for start in range(0, 300_000, 1000):
        slot = start // 1000 % 60
        windows.empty(np.array([slot]))
        part = slice(start, start + 1000)
        windows.update(one_row(1000, slot), probability_S[part], is_clicked_S[part])
    for over, last in (("total", 300_000), ("time", 60_000), ("events", 50)):
        expected = log_loss(is_clicked_S[-last:], probability_S[-last:])
        assert windows.reading("log_loss", over, 0).value == pytest.approx(expected, rel=1e-11)
        predicted = probability_S[-last:].mean()
        assert windows.reading("predicted_ctr", over, 0).value == pytest.approx(
            predicted, rel=1e-11
        )
