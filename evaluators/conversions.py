"""Judges how likely clicks on lists were said to convert.

# N clicked items of lists of which is known whether they converted
"""

from collections.abc import Sequence

import numpy as np

from evaluators.click_windows import ProbabilityWindows
from evaluators.confidence_sequence import INTERVAL_ALPHA
from evaluators.figures import as_record
from evaluators.paired_losses import PairedLosses, loss_lead
from evaluators.row_windows import row_samples
from evaluators.windows import WINDOWS, TimeBuckets, WindowSizes
from stream.conversions import PredictedConversions
from stream.values import Float64s, Reading, Record, State

_FIGURE_OF = {
    "predicted_conversion_rate": "predicted_ctr",
    "conversion_calibration_ratio": "calibration_ratio",
    "conversion_log_loss": "log_loss",
    "conversion_normalized_entropy": "normalized_entropy",
    "conversion_auc": "auc",
}
CONVERSION_METRICS = tuple(_FIGURE_OF)
"""What click figures are to shown items, these are to clicked ones."""

_SCHEMA_VERSION = 2


class ConversionJudge:
    """What each learner's probabilities of a conversion were worth.

    A sample is an item clicked on its list. It counts when its conversion window has passed, with
    what was answered when the list was shown; the window `time` goes by that time. A probability
    that was not told is no sample, one that is not in (0, 1) is left out and counted. Clicks on
    lists that were shown before the first conversion was told, and clicks on no list, have none.

    Memory, with the default settings: 592 KiB for each learner that tells probabilities. None
    before the first sample. See `ProbabilityWindows`.

    Parameters
    ----------
    learners : sequence of str
        Names of the learners judged, the champion's first.
    sizes : WindowSizes
        Of the windows.
    """

    def __init__(self, learners: Sequence[str], sizes: WindowSizes) -> None:
        self._learners = list(learners)
        self._fade = sizes.fade
        self._buckets = TimeBuckets(sizes.time_ms)
        self._models = [ProbabilityWindows(sizes) for _ in learners]
        self._paired = [PairedLosses() for _ in learners[1:]]
        self._n_invalid = 0

    def update(self, matured: PredictedConversions, watermark_ms: int) -> None:
        """Judge what matured, and move the time."""
        slots = self._buckets.advance(watermark_ms)
        if len(slots):
            for windows in self._models:
                windows.empty(slots)
        for paired in self._paired:
            paired.pass_by()
        if not len(matured):
            return
        slot_N = self._buckets.slots(np.minimum(matured.ts_N, watermark_ms))
        for learner, windows in zip(self._learners, self._models, strict=True):
            told_N = matured.probability_of.get(learner)
            if told_N is None:
                continue
            valid = np.flatnonzero((told_N > 0) & (told_N < 1))
            self._n_invalid += int(np.count_nonzero(~np.isnan(told_N))) - len(valid)
            if len(valid):
                n_rows, row_N = 1, np.zeros(len(valid), np.int64)
                samples = row_samples(row_N, slot_N[valid], n_rows, self._fade)
                windows.update(samples, told_N[valid], matured.is_converted_N[valid])
        for learner, paired in zip(self._learners[1:], self._paired, strict=True):
            told = matured.probability_of
            paired.update_of(told.get(self._learners[0]), told.get(learner), matured.is_converted_N)

    def metrics(self) -> Record:
        """Every figure of the champion that has a sample."""
        return _record(self._models[0])

    def shadows(self, champion: Record) -> list[Record]:
        """Figures of each shadow; empty for one that tells no probability.

        `difference` is the champion's figure since start less the shadow's, on as many samples:
        those that both have judged from the first on; `interval` as with clicks.
        """
        records = [_record(windows) for windows in self._models[1:]]
        for record, paired in zip(records, self._paired, strict=True):
            for name, figure in record.items():
                ahead = champion.get(name)
                if ahead and ahead["samples"]["total"] == figure["samples"]["total"]:
                    figure["difference"] = ahead["total"] - figure["total"]
                    is_paired = paired.n_samples == figure["samples"]["total"]
                    if name == "conversion_log_loss" and is_paired:
                        figure["interval"] = paired.interval(INTERVAL_ALPHA)
        return records

    def lead(self, row: int, over: str) -> Reading | None:
        """How far the champion is ahead of the learner in a row in log loss, over a window."""
        return loss_lead(self._models[0], self._models[row], over)

    def leads(self, row: int) -> Float64s:
        """The same by clicked item, of those of the last batch."""
        return self._paired[row - 1].last_S

    def reading(self, metric: str, over: str) -> Reading | None:
        """One figure of the champion; None without a sample."""
        return self._models[0].reading(_FIGURE_OF[metric], over, 0)

    def counts(self) -> dict[str, int]:
        """Probabilities of any learner left out, if there are any."""
        invalid = {"invalid_conversion_probabilities": self._n_invalid}
        return invalid if self._n_invalid else {}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "buckets": self._buckets.state_dict(),
            "models": [windows.state_dict() for windows in self._models],
            "paired": [paired.state_dict() for paired in self._paired],
            "n_invalid": self._n_invalid,
        }

    def load_state_dict(self, state: State) -> None:
        self._buckets.load_state_dict(state["buckets"])
        for windows, saved in zip(self._models, state["models"], strict=True):
            windows.load_state_dict(saved)
        for paired, saved in zip(self._paired, state["paired"], strict=True):
            paired.load_state_dict(saved)
        self._n_invalid = state["n_invalid"]


def _record(windows: ProbabilityWindows) -> Record:
    figures_of = {over: windows.figures(over, 0) for over in WINDOWS}
    records = {
        name: as_record({over: figures.get(of) for over, figures in figures_of.items()})
        for name, of in _FIGURE_OF.items()
    }
    return {name: record for name, record in records.items() if record}
