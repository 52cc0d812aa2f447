import numpy as np
import pytest

from evaluators.click_windows import ProbabilityWindows
from evaluators.confidence_sequence import mean_margin
from evaluators.paired_losses import PairedLosses, loss_lead
from evaluators.row_windows import row_samples
from evaluators.windows import WindowSizes
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract


def windows_of(probabilities: list[float], is_hit: list[bool]) -> ProbabilityWindows:
    windows = ProbabilityWindows(WindowSizes(events=9, time_ms=60_000, fade=0.9))
    zeros = np.zeros(len(is_hit), np.int64)
    windows.update(row_samples(zeros, zeros, 1, 0.9), np.array(probabilities), np.array(is_hit))
    return windows


def test_only_what_both_have_judged_is_compared():
    losses = PairedLosses()
    ours_S = np.array([0.5, np.nan, 0.5, 0.25])
    theirs_S = np.array([0.25, 0.5, 0.0, 0.5])
    losses.update_of(ours_S, theirs_S, np.array([True, True, False, False]))
    assert losses.n_samples == 2
    assert losses.last_S == pytest.approx(np.log([2.0, 1.5]))


def test_a_batch_in_which_one_tells_nothing_has_no_leads():
    losses = PairedLosses()
    losses.update_of(np.array([0.5]), np.array([0.25]), np.array([True]))
    losses.update_of(np.array([0.5]), None, np.array([True]))
    assert (losses.n_samples, len(losses.last_S)) == (1, 0)


def test_the_interval_is_that_of_the_mean_difference_of_losses():
    rng = np.random.default_rng(3)
    ours_S, theirs_S = rng.uniform(0.05, 0.3, (2, 4000))
    is_hit_S = rng.random(4000) < 0.15
    losses = PairedLosses()
    for part in np.array_split(np.arange(4000), 7):
        losses.update_of(ours_S[part], theirs_S[part], is_hit_S[part])
    told_S = [np.where(is_hit_S, p, 1 - p) for p in (ours_S, theirs_S)]
    difference_S = -np.log(told_S[0]) + np.log(told_S[1])
    margin = 5 * mean_margin(4000, np.array([(difference_S**2).sum() / 25]), 0.05).item()
    mean = difference_S.mean()
    assert losses.interval(0.05) == pytest.approx([mean - margin, mean + margin])


def test_a_lead_over_a_window_needs_the_same_samples():
    ours, theirs = windows_of([0.5, 0.5], [True, False]), windows_of([0.25, 0.5], [True, False])
    lead = loss_lead(ours, theirs, "events")
    assert lead == Reading(pytest.approx(np.log(2) / 2), 2)
    assert loss_lead(ours, windows_of([0.25], [True]), "events") is None
    assert loss_lead(ours, windows_of([], []), "events") is None


class TestPairedLossesState(StatefulContract):
    make = staticmethod(PairedLosses)

    @staticmethod
    def drive(losses: PairedLosses, step: int) -> object:
        rng = np.random.default_rng(step)
        ours_S, theirs_S = rng.uniform(0.1, 0.9, (2, 30))
        losses.update_of(ours_S, theirs_S, rng.random(30) < 0.5)
        return [losses.interval(0.05), losses.last_S]
