"""Judges clicks on lists that were shown: how many came, and how well they were predicted.

# N lists that matured, S shown items of those lists end to end, M samples by row, R rows

Row 0 is of all lists; each row behind it is of one policy. A policy's windows are what they would
be if its lists alone had been judged.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluators.click_figures import METRICS_BY_POLICY, MODEL_METRICS, SHARE_METRICS
from evaluators.click_windows import THRESHOLD, ProbabilityWindows, ShareWindows
from evaluators.confidence import share_interval
from evaluators.confidence_sequence import INTERVAL_ALPHA
from evaluators.figures import as_record
from evaluators.paired_losses import PairedLosses, loss_lead
from evaluators.row_windows import RowSamples, row_samples
from evaluators.windows import WINDOWS, TimeBuckets, WindowSizes
from stream.conversions import Conversions
from stream.values import Float64s, Int64s, Matured, Reading, Record, State

MAX_POLICIES = 8
OTHER_POLICIES = "other"
"""Stands for every policy that came after the first 8, and for one of that name."""

_ALL = 0

_SCHEMA_VERSION = 2


class ClicksConfig(BaseModel):
    """How click probabilities are judged.

    Attributes
    ----------
    threshold : float
        The probability from which on an item is taken for one that will be clicked, in
        `click_precision` and `click_f1`. F1 of well calibrated probabilities is greatest at half
        its own value [1]_: far below 0.5 where clicks are rare.

    References
    ----------
    .. [1] Lipton, Elkan, Naryanaswamy. Optimal thresholding of classifiers to maximize F1 measure.
       ECML PKDD 2014.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = THRESHOLD


_DEFAULTS = ClicksConfig()


class ClickJudge:
    """CTR and its kin, and what each learner's probabilities of a click were worth.

    Lists count when they mature; the window `time` goes by the time of their maturity. A sample
    is a shown item; of `request_ctr` it is a list, of `conversion_rate` a click. The champion's
    probabilities are judged over all lists and by policy, a shadow's over all lists. One that is
    not in (0, 1) is left out and counted; who gives none is not judged. Lists whose policy is not
    named count among all lists only.

    Memory, with the default settings: 646 KiB for all lists and for each policy, at most 10 in
    all, if the champion estimates clicks, and 22 KiB if it does not; 624 KiB for each shadow that
    does. None before the first list. See `ShareWindows` and `ProbabilityWindows`.

    Parameters
    ----------
    learners : sequence of str
        Names of the learners judged, the champion's first.
    sizes : WindowSizes
        Of the windows.
    config : ClicksConfig, optional
    """

    def __init__(
        self, learners: Sequence[str], sizes: WindowSizes, config: ClicksConfig = _DEFAULTS
    ) -> None:
        self._learners = list(learners)
        self._fade = sizes.fade
        self._buckets = TimeBuckets(sizes.time_ms)
        self._shares = {name: ShareWindows(sizes) for name in SHARE_METRICS}
        self._models = [ProbabilityWindows(sizes, threshold=config.threshold) for _ in learners]
        self._paired = [PairedLosses() for _ in learners[1:]]
        self._policies: list[str] = []
        self._n_lists = 0
        self.n_shown = 0
        self._n_invalid = 0

    def update(self, matured: Matured, conversions: Conversions, watermark_ms: int) -> None:
        """Judge what matured, and move the time."""
        slots = self._buckets.advance(watermark_ms)
        if len(slots):
            for shares in self._shares.values():
                shares.empty(slots)
            for model in self._models:
                model.empty(slots)
        for paired in self._paired:
            paired.pass_by()
        if len(matured):
            self._judge_lists(matured, watermark_ms)
        if len(conversions):
            samples = self._in_one_row(self._slots(conversions.ts_N, watermark_ms))
            self._shares["conversion_rate"].update(samples, conversions.is_converted_N)

    def metrics(self) -> Record:
        """Every figure over all lists that has a sample."""
        return self._figures(_ALL)

    def policies(self) -> Record:
        """Every figure of each policy that has a sample, in order of first sight."""
        return {name: self._figures(row) for row, name in enumerate(self._policies, start=1)}

    def shadows(self, champion: Record) -> list[Record]:
        """Figures of each shadow's probabilities; empty for one that gives none.

        Where both it and the champion have judged every item shown so far, `difference` is the
        champion's figure since start less the shadow's; of the log loss, which is a mean over
        items, `interval` is where it lies with 95 % confidence at all times at once.
        """
        figures_of = [_model_figures(windows, _ALL) for windows in self._models[1:]]
        for figures, paired in zip(figures_of, self._paired, strict=True):
            for name, figure in figures.items():
                pair = champion.get(name, {}), figure
                if all(one.get("samples", {}).get("total") == self.n_shown for one in pair):
                    figure["difference"] = pair[0]["total"] - pair[1]["total"]
                    if name == "log_loss":
                        figure["interval"] = paired.interval(INTERVAL_ALPHA)
        return figures_of

    def lead(self, row: int, over: str) -> Reading | None:
        """How far the champion is ahead of the learner in a row in log loss, over a window."""
        return loss_lead(self._models[0], self._models[row], over)

    def leads(self, row: int) -> Float64s:
        """The same by shown item, of those of the last batch."""
        return self._paired[row - 1].last_S

    def reliability(self) -> list[Record]:
        """The champion's probabilities over `events` against what was clicked, in groups."""
        return self._models[0].reliability(_ALL)

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        """One figure; None without a sample, or for a policy that is not kept apart."""
        if policy is not None and metric not in METRICS_BY_POLICY:
            raise ValueError(f"{metric} is not kept by policy; leave the policy out")
        if policy is not None and policy not in self._policies:
            return None
        row = _ALL if policy is None else 1 + self._policies.index(policy)
        if metric in MODEL_METRICS:
            return self._models[0].reading(metric, over, row)
        return self._shares[metric].reading(over, row)

    def counts(self) -> dict[str, int]:
        """Lists and items judged since start, and probabilities of any learner left out."""
        return {
            "matured": self._n_lists,
            "shown_items_matured": self.n_shown,
            "invalid_probabilities": self._n_invalid,
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "buckets": self._buckets.state_dict(),
            "shares": {name: windows.state_dict() for name, windows in self._shares.items()},
            "models": [windows.state_dict() for windows in self._models],
            "paired": [paired.state_dict() for paired in self._paired],
            "policies": list(self._policies),
            "n_lists": self._n_lists,
            "n_shown": self.n_shown,
            "n_invalid": self._n_invalid,
        }

    def load_state_dict(self, state: State) -> None:
        self._buckets.load_state_dict(state["buckets"])
        for name, windows in self._shares.items():
            windows.load_state_dict(state["shares"][name])
        for model, saved in zip(self._models, state["models"], strict=True):
            model.load_state_dict(saved)
        for paired, saved in zip(self._paired, state["paired"], strict=True):
            paired.load_state_dict(saved)
        self._policies = list(state["policies"])
        self._n_lists = state["n_lists"]
        self.n_shown = state["n_shown"]
        self._n_invalid = state["n_invalid"]

    def _judge_lists(self, matured: Matured, watermark_ms: int) -> None:
        is_clicked_S = matured.is_clicked_S
        row_N = self._rows(matured.policy_N)
        slot_N = self._slots(matured.ts_N, watermark_ms)
        list_of_S = np.repeat(np.arange(len(matured)), np.diff(matured.starts))
        has_click_N = np.bincount(list_of_S[is_clicked_S], minlength=len(matured)) > 0
        list_M, samples = self._by_row(row_N, slot_N)
        self._shares["request_ctr"].update(samples, has_click_N[list_M])
        row_S, slot_S = row_N[list_of_S], slot_N[list_of_S]
        item_M, samples = self._by_row(row_S, slot_S)
        self._shares["ctr"].update(samples, is_clicked_S[item_M])
        self._n_lists += len(matured)
        self.n_shown += len(is_clicked_S)
        for learner, windows in zip(self._learners, self._models, strict=True):
            probability_S = matured.probability_of.get(learner)
            if probability_S is None:
                continue
            # Not a number compares false with everything.
            valid = np.flatnonzero((probability_S > 0) & (probability_S < 1))
            self._n_invalid += len(probability_S) - len(valid)
            if windows is not self._models[0]:
                judged_M, judged = valid, self._in_one_row(slot_S[valid])
            elif len(valid) == len(probability_S):  # as a rule: they are arranged already
                judged_M, judged = item_M, samples
            else:
                valid_M, judged = self._by_row(row_S[valid], slot_S[valid])
                judged_M = valid[valid_M]
            windows.update(judged, probability_S[judged_M], is_clicked_S[judged_M])
        for learner, paired in zip(self._learners[1:], self._paired, strict=True):
            told = matured.probability_of
            paired.update_of(told.get(self._learners[0]), told.get(learner), is_clicked_S)

    def _rows(self, policy_N: Sequence[str | None]) -> Int64s:
        """Row of each list's policy, 0 for one that is not named; new policies get theirs."""
        row_of: dict[str | None, int] = {None: _ALL}
        for policy in dict.fromkeys(policy_N):
            if policy is not None:
                row_of[policy] = self._row(policy)
        return np.array([row_of[policy] for policy in policy_N], np.int64)

    def _row(self, policy: str) -> int:
        if policy not in self._policies:
            n_apart = len(self._policies) - (OTHER_POLICIES in self._policies)
            policy = policy if n_apart < MAX_POLICIES else OTHER_POLICIES
        if policy not in self._policies:
            self._policies.append(policy)
        return 1 + self._policies.index(policy)

    def _slots(self, ts_N: Int64s, watermark_ms: int) -> Int64s:
        # What matured before its time, for want of room, matured now.
        return self._buckets.slots(np.minimum(ts_N, watermark_ms))

    def _by_row(self, row_S: Int64s, slot_S: Int64s) -> tuple[Int64s, RowSamples]:
        """Each sample among all, and once more in the row of its policy: (which one, samples)."""
        named = np.flatnonzero(row_S)
        named = named[np.argsort(row_S[named], kind="stable")]
        index_M = np.concatenate((np.arange(len(row_S)), named))
        row_M = np.concatenate((np.zeros(len(row_S), np.int64), row_S[named]))
        n_rows = 1 + len(self._policies)
        return index_M, row_samples(row_M, slot_S[index_M], n_rows, self._fade)

    def _in_one_row(self, slot_S: Int64s) -> RowSamples:
        return row_samples(np.zeros(len(slot_S), np.int64), slot_S, 1, self._fade)

    def _figures(self, row: int) -> Record:
        figures: Record = {}
        for name, windows in self._shares.items():
            readings = {over: windows.reading(over, row) for over in WINDOWS}
            if figure := as_record(readings):
                if name != "conversion_rate":
                    figure["interval"] = _intervals(windows, row)
                figures[name] = figure
        return {**figures, **_model_figures(self._models[0], row)}


def _intervals(windows: ShareWindows, row: int) -> Record:
    """Where the share may lie, at 95 % and for one look, over the windows that are counted."""
    counts_of = {over: windows.counts(over, row) for over in WINDOWS if over != "faded"}
    return {
        over: list(share_interval(int(n_hit), int(n_samples)))
        for over, (n_samples, n_hit) in counts_of.items()
        if n_samples
    }


def _model_figures(windows: ProbabilityWindows, row: int) -> Record:
    figures_of = {over: windows.figures(over, row) for over in WINDOWS}
    return {
        name: figure
        for name in MODEL_METRICS
        if (figure := as_record({over: one.get(name) for over, one in figures_of.items()}))
    }
