"""Judges policies that did not show the lists: the CTR that each would have had.

# N lists that matured, S shown items of those lists end to end, M of them that can be judged,
# K places, R rows

Row 0 is of the policy that the champion makes, a softmax of its scores; each row behind it is of
a policy whose probabilities came with the lists. Both are as they were when a list was shown, and
so is what the model expected: whatever was learned since is not in them.
"""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluators.figures import as_record
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS, Moments, list_totals
from evaluators.offpolicy_windows import OffPolicyWindows
from evaluators.row_windows import row_samples
from evaluators.windows import WINDOWS, TimeBuckets, WindowSizes
from stream.targets import ChoiceRule, Targets
from stream.values import Bools, Float64s, Int64s, Matured, Reading, Record, State

_CHOICE = 0

# Places behind it share one rate.
_MAX_PLACE = 64
# The rate of a place is known as well as that of all places after so many items.
_PLACE_PRIOR_ITEMS = 100.0
_FIRST_RATE = 0.05

_EXCLUDED = ("without_propensity", "invalid_propensities", "without_choice", "invalid_targets")

_SCHEMA_VERSION = 1


class OffPolicyConfig(BaseModel):
    """Which policy made of the champion is judged, and what is done about large weights.

    Attributes
    ----------
    temperature : float, optional
        The target policy draws by a softmax of the champion's scores divided by this. Transformer
        and blend score by logits, the neighbour methods and popularity by logarithms of votes: at
        1 the latter draw in proportion to votes. Unset: no such policy is judged.
    candidates : int
        It draws one of the champion's best so many items; 1 .. 2000.
    max_weight : float
        Weights above are clipped in `clipped_ips_ctr` and `clipped_dr_ctr`, and left to the model
        in `switch_dr_ctr`; at least 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    temperature: Annotated[float, Field(gt=0.0)] | None = None
    candidates: Annotated[int, Field(ge=1, le=2_000)] = 200
    max_weight: Annotated[float, Field(ge=1.0)] = 20.0

    @property
    def rule(self) -> ChoiceRule | None:
        """How the target policy draws; None if none is to be judged."""
        if self.temperature is None:
            return None
        return ChoiceRule(self.temperature, self.candidates)


class OffPolicyJudge:
    """Estimates of the CTR of target policies, from lists whose propensities were logged.

    A sample is a shown item at its place; windows hold lists, by the time of their maturity. See
    `offpolicy_estimates` for the estimators and what they assume, `Moments.interval` and
    `Moments.bounds` for the intervals: the former rests on the normal distribution, the latter on
    nothing of the kind. A target needs a propensity in (0, 1] and a probability in [0, 1]: an
    item without is left out, and counted.

    The model of the doubly robust figures is the champion's click probability, of the item and of
    the target's own choice. Of a policy whose probabilities came with the lists its own choice is
    not known, and some champions estimate no clicks: there the model is the click rate of the
    place, over the lists judged before.

    Memory, for each target policy: 88 bytes a list of the window `events`, 882 KiB with the
    default settings. None before the first list that any policy is asked about.

    Parameters
    ----------
    champion : str
        Whose click probabilities are the model.
    config : OffPolicyConfig
    sizes : WindowSizes
        Of the windows.
    """

    def __init__(self, champion: str, config: OffPolicyConfig, sizes: WindowSizes) -> None:
        self._champion = champion
        self._max_weight = config.max_weight
        self._fade = sizes.fade
        self._buckets = TimeBuckets(sizes.time_ms)
        self._windows = OffPolicyWindows(sizes)
        self._rates = PlaceRates()
        self._given: list[str] = []
        self._max_items = 0
        self._has_click_model = False
        self._excluded = dict.fromkeys(_EXCLUDED, 0)

    def update(self, matured: Matured, watermark_ms: int) -> None:
        """Judge what matured, and move the time."""
        slots = self._buckets.advance(watermark_ms)
        if len(slots):
            self._windows.empty(slots)
        targets = matured.targets
        if not len(matured) or targets is None:
            return
        place_S = np.arange(len(matured.is_clicked_S)) - np.repeat(
            matured.starts[:-1], np.diff(matured.starts)
        )
        self._max_items = max(self._max_items, int(np.diff(matured.starts).max()))
        rate_S = self._rates.of(place_S)
        by_place_2S = np.stack((rate_S, rate_S))
        judged = [(_CHOICE, targets.choice.probability_S)] if targets.choice else []
        for name, probability_S in targets.given_of.items():
            if name not in self._given:
                self._given.append(name)
            judged.append((1 + self._given.index(name), probability_S))
        parts = []
        for row, probability_S in sorted(judged, key=lambda one: one[0]):
            model_2S = self._click_model(matured, by_place_2S) if row == _CHOICE else by_place_2S
            parts.append((row, *self._totals(matured, targets, row, probability_S, model_2S)))
        self._take_in(matured, parts, watermark_ms)
        self._rates.add(place_S, matured.is_clicked_S)

    def metrics(self) -> Record:
        """Every figure of the policy that the champion makes."""
        return self._figures(_CHOICE)

    def policies(self) -> dict[str, Record]:
        """Every figure of each policy whose probabilities came with lists."""
        found = {name: self._figures(row) for row, name in enumerate(self._given, start=1)}
        return {name: figures for name, figures in found.items() if figures}

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        """One figure: of the champion's policy, or of one that came with lists."""
        if policy is not None and policy not in self._given:
            return None
        row = _CHOICE if policy is None else 1 + self._given.index(policy)
        return _reading(self._windows.moments(over, row), metric)

    def counts(self) -> dict[str, int]:
        """Shown items that were left out, by what was wrong; empty while nothing was."""
        return {name: count for name, count in self._excluded.items() if count}

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "buckets": self._buckets.state_dict(),
            "windows": self._windows.state_dict(),
            "rates": self._rates.state_dict(),
            "given": list(self._given),
            "max_items": self._max_items,
            "has_click_model": self._has_click_model,
            "excluded": dict(self._excluded),
        }

    def load_state_dict(self, state: State) -> None:
        self._buckets.load_state_dict(state["buckets"])
        self._windows.load_state_dict(state["windows"])
        self._rates.load_state_dict(state["rates"])
        self._given = list(state["given"])
        self._max_items = state["max_items"]
        self._has_click_model = state["has_click_model"]
        self._excluded = dict(state["excluded"])

    def _click_model(self, matured: Matured, by_place_2S: Float64s) -> Float64s:
        """The champion's click probabilities, and the place's rate where it has none."""
        choice = matured.targets.choice if matured.targets else None
        model_S = matured.probability_of.get(self._champion)
        if choice is None or choice.click_S is None or model_S is None:
            return by_place_2S
        model_2S = np.stack((model_S, choice.click_S))
        is_told_S = ((model_2S >= 0) & (model_2S <= 1)).all(axis=0)  # nan compares false
        self._has_click_model = self._has_click_model or bool(is_told_S.any())
        return np.where(is_told_S, model_2S, by_place_2S)

    def _totals(
        self,
        matured: Matured,
        targets: Targets,
        row: int,
        probability_S: Float64s,
        model_2S: Float64s,
    ) -> tuple[Int64s, Float64s]:
        """The lists that a target can be judged by, and their totals."""
        propensity_S = targets.propensity_S
        is_asked_S = np.ones(len(probability_S), np.bool_)
        if row != _CHOICE:
            is_asked_S = ~np.isnan(probability_S)
        is_missing_S = is_asked_S & np.isnan(propensity_S)
        is_bad_S = is_asked_S & ~is_missing_S & ~((propensity_S > 0) & (propensity_S <= 1))
        is_asked_S &= ~(is_missing_S | is_bad_S)
        is_silent_S = is_asked_S & np.isnan(probability_S)
        is_wrong_S = is_asked_S & ~is_silent_S & ~((probability_S >= 0) & (probability_S <= 1))
        for name, is_it_S in zip(
            _EXCLUDED, (is_missing_S, is_bad_S, is_silent_S, is_wrong_S), strict=True
        ):
            self._excluded[name] += int(np.count_nonzero(is_it_S))
        index_M = np.flatnonzero(is_asked_S & ~(is_silent_S | is_wrong_S))
        list_of_S = np.repeat(np.arange(len(matured)), np.diff(matured.starts))
        list_N, list_of_M = np.unique(list_of_S[index_M], return_inverse=True)
        totals_NX = list_totals(
            probability_S[index_M] / propensity_S[index_M],
            matured.is_clicked_S[index_M],
            model_2S[:, index_M],
            list_of_M,
            self._max_weight,
        )
        return list_N, totals_NX

    def _take_in(
        self, matured: Matured, parts: list[tuple[int, Int64s, Float64s]], watermark_ms: int
    ) -> None:
        row_L = np.concatenate([np.full(len(lists), row) for row, lists, _ in parts])
        list_L = np.concatenate([lists for _, lists, _ in parts])
        if not len(row_L):
            return
        # What matured before its time, for want of room, matured now.
        slot_L = self._buckets.slots(np.minimum(matured.ts_N[list_L], watermark_ms))
        samples = row_samples(row_L, slot_L, 1 + len(self._given), self._fade)
        self._windows.update(samples, np.concatenate([totals for *_, totals in parts]))

    def _figures(self, row: int) -> Record:
        """Every figure of a target, with the intervals of the windows that are counted."""
        moments_of = {over: self._windows.moments(over, row) for over in WINDOWS}
        known = {over: one for over, one in moments_of.items() if one and over != "faded"}
        figures: Record = {}
        for metric in OFF_POLICY_METRICS:
            figure = as_record({over: _reading(one, metric) for over, one in moments_of.items()})
            if not figure:
                continue
            intervals = {over: one.interval(metric) for over, one in known.items()}
            if found := {over: list(ends) for over, ends in intervals.items() if ends}:
                figure["interval"] = found
            figures[metric] = figure
        if "clipped_ips_ctr" in figures:
            figures["clipped_ips_ctr"]["bounds"] = {
                over: list(one.bounds(self._max_weight, self._max_items))
                for over, one in known.items()
            }
        if "dr_ctr" in figures:
            is_told = self._has_click_model and row == _CHOICE
            figures["dr_ctr"]["model"] = "clicks" if is_told else "place"
        return figures


def _reading(moments: Moments | None, metric: str) -> Reading | None:
    value = None if moments is None else moments.value(metric)
    return None if moments is None or value is None else Reading(value, moments.samples)


class PlaceRates:
    """The click rate of each place since start: a model of clicks that knows nothing else.

    Examples
    --------
    >>> rates = PlaceRates()
    >>> rates.add(np.array([0, 1]), np.array([True, False]))
    >>> rates.of(np.array([0, 1])).round(4).tolist()
    [0.3564, 0.3465]
    """

    def __init__(self) -> None:
        self._count_2K = np.zeros((2, _MAX_PLACE))

    def of(self, place_S: Int64s) -> Float64s:
        """The rate of each place, counted from 0."""
        shown_K, clicked_K = self._count_2K
        overall = (clicked_K.sum() + _FIRST_RATE) / (shown_K.sum() + 1)
        rate_K = (clicked_K + _PLACE_PRIOR_ITEMS * overall) / (shown_K + _PLACE_PRIOR_ITEMS)
        rate_S: Float64s = rate_K[np.minimum(place_S, _MAX_PLACE - 1)]
        return rate_S

    def add(self, place_S: Int64s, is_clicked_S: Bools) -> None:
        """Count items and clicks."""
        place_S = np.minimum(place_S, _MAX_PLACE - 1)
        self._count_2K[0] += np.bincount(place_S, minlength=_MAX_PLACE)
        self._count_2K[1] += np.bincount(place_S[is_clicked_S], minlength=_MAX_PLACE)

    def state_dict(self) -> State:
        return {"count_2K": self._count_2K}

    def load_state_dict(self, state: State) -> None:
        self._count_2K = state["count_2K"].copy()
