"""Shares and predicted probabilities of clicks over the four windows, by row.

# S samples of an update, R rows, C columns, B bins of probability, W samples of `events`
"""

import numpy as np

from evaluators.click_figures import (
    N_BINS,
    N_CALIBRATION_BINS,
    ProbabilitySums,
    binned_auc,
    calibration_error,
    coarse_bins,
    coarse_counts,
    exact_auc,
    log_losses,
    probability_bins,
    reliability_groups,
    sum_figures,
)
from evaluators.row_windows import RowRing, RowSamples, RowSums
from evaluators.windows import WindowSizes
from stream.values import Bools, Float64s, Int64s, Reading, Record, State

# Columns of the sums: samples not clicked and clicked, their probabilities and their losses, and
# those with a probability of at least the threshold, not clicked and clicked.
_PREDICTED, _LOSS, _POSITIVE, _N_SUMS = 2, 3, 4, 6

THRESHOLD = 0.1

_SCHEMA_VERSION = 1


class ShareWindows:
    """How many of a row's samples hit: shown items that were clicked, clicks that converted.

    Counts of `total`, `events` and `time` are integers. Memory: `sizes.events` bytes and 1 KiB
    for each row.

    Examples
    --------
    >>> from evaluators.row_windows import row_samples
    >>> windows = ShareWindows(WindowSizes(events=2, time_ms=60_000, fade=0.5))
    >>> row_S, slot_S = np.array([0, 0, 0]), np.array([7, 7, 7])
    >>> windows.update(row_samples(row_S, slot_S, 1, 0.5), np.array([True, False, True]))
    >>> windows.counts("events", row=0), windows.counts("faded", row=0)
    ((2, 1), (1.75, 1.25))
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self._sums = RowSums(2, np.int64, np.int64)
        self._last = RowRing(sizes.events, np.bool_)
        self.n_rows = 0

    def empty(self, slots: Int64s) -> None:
        """Drop what lies in buckets that time has left behind."""
        self._sums.empty(slots)

    def update(self, samples: RowSamples, is_hit_S: Bools) -> None:
        """Count samples; rows that are new are added."""
        self.n_rows = max(self.n_rows, len(samples.n_R))
        self._sums.grow(self.n_rows)
        self._last.grow(self.n_rows)
        self._sums.fade(samples)
        self._sums.add(samples, is_hit_S.astype(np.int64))
        self._last.update(samples, is_hit_S)

    def counts(self, window: str, row: int) -> tuple[float, float]:
        """Samples of a row, and those that hit; integers, of `faded` weights."""
        if row >= self.n_rows:
            return 0, 0
        if window == "events":
            is_hit_W = self._last.values(row)
            return len(is_hit_W), int(np.count_nonzero(is_hit_W))
        n_missed, n_hit = self._sums.over(window, row).tolist()
        return n_missed + n_hit, n_hit

    def reading(self, window: str, row: int) -> Reading | None:
        """Share of a row's samples that hit; None without one."""
        n_samples, n_hit = self.counts(window, row)
        return Reading(n_hit / n_samples, n_samples) if n_samples else None

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "sums": self._sums.state_dict(),
            "last": self._last.state_dict(),
            "n_rows": self.n_rows,
        }

    def load_state_dict(self, state: State) -> None:
        self._sums.load_state_dict(state["sums"])
        self._last.load_state_dict(state["last"])
        self.n_rows = state["n_rows"]


class ProbabilityWindows:
    """What a learner's probabilities of clicks were worth, by row.

    The window `events` keeps each probability and is worked out when it is asked for: exact, and
    its cost is that of sorting it. The others keep sums, exact but for the rounding of float64,
    and counts by bin of log-odds for the AUC; see `binned_auc` for how far that is off.

    Memory: 8 bytes for each sample of `events` and 546 KiB, or without AUC and calibration error
    3 KiB, for each row.

    Parameters
    ----------
    sizes : WindowSizes
        Of the windows.
    has_auc : bool
        Whether the order of the probabilities is judged, too, and how they are calibrated.
    threshold : float
        The probability from which on an item is taken for one that will be clicked.
    """

    def __init__(
        self, sizes: WindowSizes, *, has_auc: bool = True, threshold: float = THRESHOLD
    ) -> None:
        self._has_auc = has_auc
        self._threshold = threshold
        self._sums = RowSums(_N_SUMS, np.float64, np.float64)
        # int32: one bucket of time would need two billion samples of like probability to overflow.
        self._bins = RowSums(2 * N_BINS if has_auc else 0, np.int64, np.int32)
        n_bins = N_CALIBRATION_BINS if has_auc else 0
        self._predicted_bins = RowSums(n_bins, np.float64, np.float64)
        # A probability is above 0: below it stand those of samples that were not clicked.
        self._signed = RowRing(sizes.events, np.float64)
        self.n_rows = 0

    def empty(self, slots: Int64s) -> None:
        """Drop what lies in buckets that time has left behind."""
        self._sums.empty(slots)
        self._bins.empty(slots)
        self._predicted_bins.empty(slots)

    def update(self, samples: RowSamples, probability_S: Float64s, is_clicked_S: Bools) -> None:
        """Judge probabilities, all within (0, 1); rows that are new are added."""
        self.n_rows = max(self.n_rows, len(samples.n_R))
        for windows in (self._sums, self._bins, self._predicted_bins, self._signed):
            windows.grow(self.n_rows)
        label_S = is_clicked_S.astype(np.int64)
        self._sums.fade(samples)
        columns = (np.full_like(label_S, _PREDICTED), np.full_like(label_S, _LOSS))
        column_XS = np.stack((label_S, *columns, _POSITIVE + label_S))
        loss_S = log_losses(probability_S, is_clicked_S)
        is_positive_S = (probability_S >= self._threshold).astype(np.float64)
        value_XS = np.stack((np.ones_like(loss_S), probability_S, loss_S, is_positive_S))
        self._sums.add(samples, column_XS, value_XS)
        if self._has_auc:
            bin_S = probability_bins(probability_S)
            self._bins.fade(samples)
            self._bins.add(samples, label_S * N_BINS + bin_S)
            self._predicted_bins.fade(samples)
            self._predicted_bins.add(samples, coarse_bins(bin_S), probability_S)
        self._signed.update(samples, np.where(is_clicked_S, probability_S, -probability_S))

    def figures(self, window: str, row: int) -> dict[str, Reading]:
        """Every figure that a row has, by name."""
        sums = self.sums(window, row)
        if sums is None:
            return {}
        values = sum_figures(sums)
        for name, value in (("ece", self.ece(window, row)), ("auc", self.auc(window, row))):
            if value is not None:
                values[name] = value
        return {name: Reading(value, sums.samples) for name, value in values.items()}

    def reading(self, metric: str, window: str, row: int) -> Reading | None:
        """One figure of a row, without the work for others; None where it has none."""
        sums = self.sums(window, row)
        if sums is None:
            return None
        match metric:
            case "auc":
                value = self.auc(window, row)
            case "ece":
                value = self.ece(window, row)
            case _:
                value = sum_figures(sums).get(metric)
        return None if value is None else Reading(value, sums.samples)

    def sums(self, window: str, row: int) -> ProbabilitySums | None:
        """What is known of a row's samples; None without one."""
        if row >= self.n_rows:
            return None
        if window == "events":
            probability_W, is_clicked_W = self.last(row)
            columns: list[float] = [
                int(np.count_nonzero(~is_clicked_W)),
                int(np.count_nonzero(is_clicked_W)),
                float(probability_W.sum()),
                float(log_losses(probability_W, is_clicked_W).sum()),
                *self._positives(probability_W, is_clicked_W),
            ]
        else:
            columns = self._sums.over(window, row).tolist()
            if window != "faded":
                columns[:_PREDICTED] = map(int, columns[:_PREDICTED])
        n_missed, n_clicked, predicted, loss, n_false, n_hits = columns
        if not n_missed + n_clicked:
            return None
        return ProbabilitySums(
            n_missed + n_clicked, n_clicked, predicted, loss, n_false + n_hits, n_hits
        )

    def ece(self, window: str, row: int) -> float | None:
        """Expected calibration error of a row; None without a sample."""
        if row >= self.n_rows or not self._has_auc:
            return None
        if window == "events":
            probability_W, is_clicked_W = self.last(row)
            bin_W = coarse_bins(probability_bins(probability_W))
            cell_W = is_clicked_W * N_CALIBRATION_BINS + bin_W
            predicted_B = np.zeros(N_CALIBRATION_BINS)
            np.add.at(predicted_B, bin_W, probability_W)
            count_B = np.bincount(cell_W, minlength=2 * N_CALIBRATION_BINS)
            return calibration_error(count_B.reshape(2, -1), predicted_B)
        fine_2B = self._bins.over(window, row).reshape(2, N_BINS)
        return calibration_error(coarse_counts(fine_2B), self._predicted_bins.over(window, row))

    def auc(self, window: str, row: int) -> float | None:
        """AUC of a row; None unless some of its samples were clicked and some were not."""
        if row >= self.n_rows or not self._has_auc:
            return None
        if window == "events":
            probability_W, is_clicked_W = self.last(row)
            return exact_auc(probability_W[is_clicked_W], probability_W[~is_clicked_W])
        return binned_auc(self._bins.over(window, row).reshape(2, N_BINS))

    def reliability(self, row: int) -> list[Record]:
        """Predicted against observed over `events`; see `reliability_groups`."""
        return reliability_groups(*self.last(row)) if row < self.n_rows else []

    def last(self, row: int) -> tuple[Float64s, Bools]:
        """The probabilities that `events` holds, and which of their items were clicked."""
        signed_W = self._signed.values(row)
        return np.abs(signed_W), signed_W > 0

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "sums": self._sums.state_dict(),
            "bins": self._bins.state_dict(),
            "predicted_bins": self._predicted_bins.state_dict(),
            "signed": self._signed.state_dict(),
            "n_rows": self.n_rows,
        }

    def load_state_dict(self, state: State) -> None:
        self._sums.load_state_dict(state["sums"])
        self._bins.load_state_dict(state["bins"])
        self._predicted_bins.load_state_dict(state["predicted_bins"])
        self._signed.load_state_dict(state["signed"])
        self.n_rows = state["n_rows"]

    def _positives(self, probability_W: Float64s, is_clicked_W: Bools) -> tuple[int, int]:
        """Samples with a probability of at least the threshold: not clicked, and clicked."""
        is_positive_W = probability_W >= self._threshold
        n_hits = int(np.count_nonzero(is_positive_W & is_clicked_W))
        return int(np.count_nonzero(is_positive_W)) - n_hits, n_hits
