"""How far the champion's probabilities are ahead of a shadow's in log loss, sample by sample.

# S samples
"""

import numpy as np

from evaluators.click_windows import ProbabilityWindows
from evaluators.confidence_sequence import mean_margin
from evaluators.paired_metrics import LARGEST_LOSS_LEAD, loss_leads
from stream.values import Bools, Float64s, Reading, State

_SCHEMA_VERSION = 1


class PairedLosses:
    """Sums since start over the samples that both have judged, and the leads of the last batch.

    Examples
    --------
    >>> losses = PairedLosses()
    >>> losses.update_of(np.full(4, 0.1), np.full(4, 0.2), np.array([False] * 4))
    >>> losses.n_samples, losses.last_S.round(3)
    (4, array([0.118, 0.118, 0.118, 0.118]))
    """

    def __init__(self) -> None:
        self.n_samples = 0
        self._sum = 0.0
        self._square_sum = 0.0
        self.last_S: Float64s = np.zeros(0)

    def pass_by(self) -> None:
        """A batch without such samples."""
        self.last_S = np.zeros(0)

    def update_of(
        self, ours_S: Float64s | None, theirs_S: Float64s | None, is_hit_S: Bools
    ) -> None:
        """Take in the samples of a batch for which both told a probability within (0, 1)."""
        if ours_S is None or theirs_S is None:
            self.pass_by()
            return
        # Not a number compares false with everything.
        both = np.flatnonzero((ours_S > 0) & (ours_S < 1) & (theirs_S > 0) & (theirs_S < 1))
        self.last_S = loss_leads(ours_S[both], theirs_S[both], is_hit_S[both])
        self.n_samples += len(self.last_S)
        self._sum += float(self.last_S.sum())
        self._square_sum += float((self.last_S**2).sum())

    def interval(self, alpha: float) -> list[float]:
        """Where the champion's loss less the shadow's lies, at all times at once.

        Of one sample no more than `LARGEST_LOSS_LEAD` counts.
        """
        square_sum = self._square_sum / LARGEST_LOSS_LEAD**2
        unit = mean_margin(self.n_samples, np.array([square_sum]), alpha).item()
        difference, margin = -self._sum / self.n_samples, unit * LARGEST_LOSS_LEAD
        return [difference - margin, difference + margin]

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "n_samples": self.n_samples,
            "sum": self._sum,
            "square_sum": self._square_sum,
        }

    def load_state_dict(self, state: State) -> None:
        self.n_samples = state["n_samples"]
        self._sum, self._square_sum = state["sum"], state["square_sum"]
        self.pass_by()


def loss_lead(ours: ProbabilityWindows, theirs: ProbabilityWindows, over: str) -> Reading | None:
    """How far one is ahead of the other in log loss over a window; None unless both judged it."""
    pair = [windows.reading("log_loss", over, 0) for windows in (ours, theirs)]
    if pair[0] is None or pair[1] is None or pair[0].samples != pair[1].samples:
        return None
    return Reading(pair[1].value - pair[0].value, pair[0].samples)
