"""Ranking and clicks by slice: for whom, on what and where the champion is good.

# B queries of a batch, S shown items, D dimensions, M samples by row, R ranks
"""

from collections.abc import Sequence

import numpy as np

from evaluators.click_windows import ProbabilityWindows, ShareWindows
from evaluators.figures import as_record
from evaluators.item_groups import ItemGroups
from evaluators.ranking import compared_names, figure_weights, ranks_of
from evaluators.row_windows import RowRing, RowSamples, RowSums, row_samples
from evaluators.slice_rows import SliceRows, SlicesConfig
from evaluators.windows import WINDOWS, TimeBuckets, WindowSizes
from stream.values import Changes, Float64s, Int64s, Matured, Outcomes, Reading, Record, State

_CLICK_FIGURES = ("predicted_ctr", "calibration_ratio", "log_loss", "normalized_entropy")

_SCHEMA_VERSION = 1


class SliceJudge:
    """The champion's figures for each slice of samples, at the longest length of list.

    Rankings are judged by the length of the user's history, by whether the clicked item is new,
    and by what the request carried; clicks on lists by history, place and request, as when they
    were shown. Each slice has windows of its own, as if no other sample had come. What does not
    say anything is in no slice.

    Memory: for each slice of rankings `sizes.events` bytes and (k + 1) x 260 bytes, for each slice
    of clicks `sizes.events` x 9 bytes and 4 KiB. There are at most 9 by history, 2 by item, 6 by
    place and 17 for each field of the context.

    Parameters
    ----------
    config : SlicesConfig
    champion : str
    k : int
        The longest length of list.
    sizes : WindowSizes
        Of the windows.
    groups : ItemGroups
        Who counts the clicks on each item; somebody else keeps it up to date.
    """

    def __init__(
        self, config: SlicesConfig, champion: str, k: int, sizes: WindowSizes, groups: ItemGroups
    ) -> None:
        self._champion = champion
        self._k = k
        self._groups = groups
        self._fade = sizes.fade
        self._rows = SliceRows(config)
        self._buckets = TimeBuckets(sizes.time_ms)
        self._figures = compared_names((k,))
        self._weights_FR = figure_weights((k,))[: len(self._figures)]
        self._rank_sums = RowSums(k + 1, np.int64, np.int32)
        self._rank_rings = RowRing(sizes.events, np.uint8)
        self._clicked = ShareWindows(sizes)
        self._predicted = ProbabilityWindows(sizes, has_auc=False)
        self._n_rank_rows = 0

    def update(self, outcomes: Outcomes) -> None:
        """Judge a batch, and move the time."""
        slots = self._buckets.advance(outcomes.watermark_ms)
        if len(slots):
            for windows in (self._rank_sums, self._clicked, self._predicted):
                windows.empty(slots)
        if outcomes.is_sample_B.any():
            self._judge_ranks(outcomes)
        if len(outcomes.matured):
            self._judge_lists(outcomes.matured, outcomes.watermark_ms)

    def follow(self, changes: Changes) -> None:
        """Nothing is held by row of the catalogue, or by user."""

    def record(self) -> Record:
        """The figures of each slice that has a sample."""
        slices = {name: self._slice(row) for row, name in enumerate(self._rows.names)}
        return {"metrics": {}, "slices": {name: told for name, told in slices.items() if told}}

    def reading(self, metric: str, over: str) -> Reading | None:
        """No figure is of slices alone."""
        raise ValueError(f"{metric} over {over} is no figure of slices")

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "rows": self._rows.state_dict(),
            "buckets": self._buckets.state_dict(),
            "rank_sums": self._rank_sums.state_dict(),
            "rank_rings": self._rank_rings.state_dict(),
            "clicked": self._clicked.state_dict(),
            "predicted": self._predicted.state_dict(),
            "n_rank_rows": self._n_rank_rows,
        }

    def load_state_dict(self, state: State) -> None:
        self._rows.load_state_dict(state["rows"])
        self._buckets.load_state_dict(state["buckets"])
        self._rank_sums.load_state_dict(state["rank_sums"])
        self._rank_rings.load_state_dict(state["rank_rings"])
        self._clicked.load_state_dict(state["clicked"])
        self._predicted.load_state_dict(state["predicted"])
        self._n_rank_rows = state["n_rank_rows"]

    def _judge_ranks(self, outcomes: Outcomes) -> None:
        chosen = np.flatnonzero(outcomes.is_sample_B)
        queries, answer_N = outcomes.queries, outcomes.answer_B[chosen]
        top_items_BK = outcomes.predictions[self._champion].top_items_BK[:, : self._k]
        rank_N = ranks_of(top_items_BK[chosen], answer_N)
        length_B = queries.contexts.length_C[queries.context_of_B]
        clicks_N = np.where(answer_N >= 0, self._groups.clicks_V[answer_N], 0)
        row_DN = [self._rows.of_histories(length_B[chosen]), self._rows.of_items(clicks_N)]
        for field in self._rows.fields:
            row_B = self._rows.of_contexts(field, outcomes.context_B)
            if len(row_B):
                row_DN.append(row_B[chosen])
        ts_N = np.minimum(queries.ts_B[chosen], outcomes.watermark_ms)
        index_M, samples = self._by_row(row_DN, self._buckets.slots(ts_N))
        self._n_rank_rows = max(self._n_rank_rows, len(samples.n_R))
        self._rank_sums.grow(self._n_rank_rows)
        self._rank_rings.grow(self._n_rank_rows)
        rank_M = rank_N[index_M]
        self._rank_sums.fade(samples)
        self._rank_sums.add(samples, rank_M)
        self._rank_rings.update(samples, rank_M)

    def _judge_lists(self, matured: Matured, watermark_ms: int) -> None:
        list_of_S = np.repeat(np.arange(len(matured)), np.diff(matured.starts))
        row_DS = []
        if matured.history_N is not None:
            row_DS.append(self._rows.of_histories(matured.history_N)[list_of_S])
        if matured.position_S is not None:
            row_DS.append(self._rows.of_places(matured.position_S))
        for field in self._rows.fields:
            row_N = self._rows.of_contexts(field, matured.context_N)
            if len(row_N):
                row_DS.append(row_N[list_of_S])
        if not row_DS:
            return
        slot_S = self._buckets.slots(np.minimum(matured.ts_N, watermark_ms))[list_of_S]
        index_M, samples = self._by_row(row_DS, slot_S)
        self._clicked.update(samples, matured.is_clicked_S[index_M])
        probability_S = matured.probability_of.get(self._champion)
        if probability_S is None:
            return
        # Not a number compares false with everything.
        is_valid_S = (probability_S > 0) & (probability_S < 1)
        if not is_valid_S.all():
            valid = np.flatnonzero(is_valid_S)
            index_M, samples = self._by_row([row_S[valid] for row_S in row_DS], slot_S[valid])
            index_M = valid[index_M]
        self._predicted.update(samples, probability_S[index_M], matured.is_clicked_S[index_M])

    def _by_row(self, row_DN: Sequence[Int64s], slot_N: Int64s) -> tuple[Int64s, RowSamples]:
        """Each sample once for each slice that it is in: (which one, samples)."""
        row_M = np.concatenate(row_DN)
        index_M = np.tile(np.arange(len(slot_N)), len(row_DN))
        if row_M.min(initial=0) < 0:
            row_M, index_M = row_M[row_M >= 0], index_M[row_M >= 0]
        order = np.argsort(row_M, kind="stable")
        row_M, index_M = row_M[order], index_M[order]
        n_rows = len(self._rows.names)
        return index_M, row_samples(row_M, slot_N[index_M], n_rows, self._fade)

    def _slice(self, row: int) -> Record:
        figures = self._ranking_figures(row)
        clicked = as_record({over: self._clicked.reading(over, row) for over in WINDOWS})
        if clicked:
            figures["ctr"] = clicked
        told_of = {over: self._predicted.figures(over, row) for over in WINDOWS}
        for name in _CLICK_FIGURES:
            if figure := as_record({over: told.get(name) for over, told in told_of.items()}):
                figures[name] = figure
        return figures

    def _ranking_figures(self, row: int) -> Record:
        if row >= self._n_rank_rows:
            return {}
        readings: dict[str, dict[str, Reading | None]] = {name: {} for name in self._figures}
        for over in WINDOWS:
            count_R = self._rank_counts(over, row)
            samples = count_R.sum().item()
            value_F = (self._weights_FR @ count_R / samples).tolist() if samples else []
            for name, value in zip(self._figures, value_F, strict=bool(samples)):
                readings[name][over] = Reading(value, samples)
        found = {name: as_record(reading_of) for name, reading_of in readings.items()}
        return {name: figure for name, figure in found.items() if figure}

    def _rank_counts(self, over: str, row: int) -> Int64s | Float64s:
        if over == "events":
            return np.bincount(self._rank_rings.values(row), minlength=self._k + 1)
        count_R: Int64s | Float64s = self._rank_sums.over(over, row)
        return count_R
