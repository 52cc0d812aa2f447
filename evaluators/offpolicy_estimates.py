r"""Off-policy estimates: the CTR that a policy would have had where another one showed the lists.

# S shown items, N lists, X totals of a list, G of them with products, P pairs of those

Each shown item is a record of a bandit: at its place, the logging policy drew it with propensity p,
the target policy would have with probability t, and it was clicked (r = 1) or not. This is the
item-position (independent) form [1]_ that the Open Bandit data come in: the value of a place is
what is clicked at it, if the target fills that place and everything else is as it was. With the
probabilities given what stands above, that is exact for lists of one; for longer ones it says what
the target would earn at each place under the items that the logging policy put above it, which is
the CTR of its own lists as far as a click depends on the item and its place alone. The weight of a
whole list, a product over its places, would need no such clause, and its variance no bound.

With the weight w = t / p, its clipped form c = min(w, max_weight), the model's probability of a
click q and what it expects of the target's own choice d, a record is worth

    ips          w r                        unbiased where propensities are right
    clipped_ips  c r                        errs low, by what is clipped
    snips        w r, over the mean of w    a weighted mean, within [0, 1]
    dr           d + w (r - q)              unbiased if propensities are right, or the model is [2]_
    clipped_dr   d + c (r - q)
    switch_dr    d + w (r - q), only d where w > max_weight [3]_

References
----------
.. [1] Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen. Offline evaluation of ranking policies
   with click models. KDD 2018. Item-position model.
.. [2] Dudík, Langford, Li. Doubly robust policy evaluation and learning. ICML 2011.
.. [3] Wang, Agarwal, Dudík. Optimal and adaptive off-policy evaluation in contextual bandits.
   ICML 2017.
"""

import math
from dataclasses import dataclass

import numpy as np

from evaluators.confidence import bernstein_margin, normal_margin
from stream.values import Bools, Float64s, Int64s

TOTALS = (
    "lists",
    "items",
    "weight",
    "clipped_weight",
    "ips",
    "clipped_ips",
    "dr",
    "clipped_dr",
    "switch_dr",
    "squared_weight",
    "hits",
)
"""What is known of a list: each a sum over its items, `lists` a 1. `hits` were clicked, and the
target might have shown them. All but the last two are known with their products, list by list."""

N_PRODUCTS = 9
PAIRS_GG = np.triu_indices(N_PRODUCTS)
_LISTS, _ITEMS, _WEIGHT, _CLIPPED_WEIGHT, _IPS, _CLIPPED_IPS, _DR, _CLIPPED_DR, _SWITCH_DR = range(
    N_PRODUCTS
)

# Each estimate is a quotient of two totals.
_QUOTIENT_OF = {
    "ips_ctr": (_IPS, _ITEMS),
    "clipped_ips_ctr": (_CLIPPED_IPS, _ITEMS),
    "snips_ctr": (_IPS, _WEIGHT),
    "dr_ctr": (_DR, _ITEMS),
    "clipped_dr_ctr": (_CLIPPED_DR, _ITEMS),
    "switch_dr_ctr": (_SWITCH_DR, _ITEMS),
    "mean_weight": (_WEIGHT, _ITEMS),
}
OFF_POLICY_METRICS = (*_QUOTIENT_OF, "effective_samples")

# Of fewer clicks nobody can tell how they scatter; of none the variance would be 0.
MIN_HITS = 5
_ALPHA = 0.05


def list_totals(
    weight_S: Float64s,
    is_clicked_S: Bools,
    model_2S: Float64s,
    list_of_S: Int64s,
    max_weight: float,
) -> Float64s:
    """The totals of each list, shape (N, X).

    Parameters
    ----------
    weight_S : float64 array
        The target's probability of each shown item over its propensity.
    is_clicked_S : bool array
    model_2S : float64 array, shape (2, S)
        The model's probability of a click on the item shown, and that on what the target would
        have shown in its place, its mean.
    list_of_S : int64 array
        The list of each, ascending, each list with an item.
    max_weight : float
        Above it weights are clipped, or left to the model.

    Examples
    --------
    >>> totals = list_totals(np.array([4.0]), np.array([True]), np.array([[0.5], [0.25]]),
    ...                      np.array([0]), max_weight=2.0)
    >>> dict(zip(TOTALS, totals[0].tolist()))["clipped_dr"]
    1.25
    """
    model_S, expected_S = model_2S
    click_S = is_clicked_S.astype(np.float64)
    clipped_S = np.minimum(weight_S, max_weight)
    surprise_S = click_S - model_S
    one_S = np.ones_like(weight_S)
    of_items = (
        one_S,
        weight_S,
        clipped_S,
        weight_S * click_S,
        clipped_S * click_S,
        expected_S + weight_S * surprise_S,
        expected_S + clipped_S * surprise_S,
        expected_S + np.where(weight_S > max_weight, 0.0, weight_S) * surprise_S,
        weight_S * weight_S,
        click_S * (weight_S > 0),
    )
    n_lists = int(list_of_S[-1]) + 1 if len(list_of_S) else 0
    sums = [np.bincount(list_of_S, of_item_S, n_lists) for of_item_S in of_items]
    totals_NX: Float64s = np.stack([np.ones(n_lists), *sums], axis=1)
    return totals_NX


def products(totals_NX: Float64s) -> Float64s:
    """The products of each list's totals by pair, then its totals without products; (P + 2, N)."""
    left_P, right_P = PAIRS_GG
    product_NP = totals_NX[:, left_P] * totals_NX[:, right_P]
    return np.concatenate((product_NP, totals_NX[:, N_PRODUCTS:]), axis=1).T


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of some lists: sums over them of all products of two totals.

    Attributes
    ----------
    product_GG : float64 array
        Symmetric; with `lists`, a 1 for each list, the product is the total itself.
    squared_weight, hits : float
        Sums of the totals without products.
    """

    product_GG: Float64s
    squared_weight: float
    hits: float

    @classmethod
    def of_sums(cls, sums: Float64s) -> "Moments":
        """From the sums of `products` over lists."""
        product_GG = np.zeros((N_PRODUCTS, N_PRODUCTS))
        product_GG[PAIRS_GG] = sums[:-2]
        product_GG.T[PAIRS_GG] = sums[:-2]
        return cls(product_GG, float(sums[-2]), float(sums[-1]))

    @property
    def samples(self) -> float:
        """Shown items, or their weight."""
        return float(self.product_GG[_LISTS, _ITEMS])

    def value(self, metric: str) -> float | None:
        """One figure; None where it does not exist.

        `effective_samples` are the shown items that would tell as much if all weights were equal
        [1]_; `mean_weight` is 1 on average, unless propensities are wrong, or the target would
        show what was never shown.

        References
        ----------
        .. [1] Kish. Survey Sampling. 1965. Effective sample size.
        """
        total_G = self.product_GG[_LISTS]
        if metric == "effective_samples":
            squared = self.squared_weight
            return float(total_G[_WEIGHT]) ** 2 / squared if squared > 0 else 0.0
        above, below = _QUOTIENT_OF[metric]
        return float(total_G[above] / total_G[below]) if total_G[below] > 0 else None

    def interval(self, metric: str) -> tuple[float, float] | None:
        r"""Where the figure may lie, at 95 % and for one look, if the normal distribution applies.

        The standard error of a quotient of two sums over lists, :math:`\sum a / \sum b = v`, by
        its linear approximation: the items of a list are not independent, lists are taken to be.
        With N lists

        .. math:: v \pm 1.96 \sqrt{\frac{N}{N - 1}} \frac{\sqrt{\sum (a - v b)^2}}{\sum b}

        Few lists with large weights scatter like anything but the normal distribution: the
        interval then errs on the narrow side. Where weights were clipped, or left to the model, it
        is an interval of what that comes to, which lies beside the CTR. None for fewer than two
        lists or five hits, and for what is no estimate.
        """
        value = self.value(metric)
        n_lists = float(self.product_GG[_LISTS, _LISTS])
        if value is None or metric == "effective_samples" or n_lists < 2 or self.hits < MIN_HITS:
            return None
        above, below = _QUOTIENT_OF[metric]
        product_GG = self.product_GG
        squares = float(
            product_GG[above, above]
            - 2 * value * product_GG[above, below]
            + value**2 * product_GG[below, below]
        )
        error = math.sqrt(max(squares, 0.0) * n_lists / (n_lists - 1))
        margin = normal_margin(_ALPHA) * error / float(product_GG[_LISTS, below])
        return value - margin, value + margin

    def bounds(self, max_weight: float, max_items: int) -> tuple[float, float]:
        """Bounds of the target's CTR that hold at 95 % from the first list on, for one look.

        Empirical Bernstein bounds [1]_ of what clipped weights tell, which have a largest value:
        clipping only lowers the mean of w r, and that of w (1 - r), so that the lower bound of the
        first lies below the CTR, and 1 less the lower bound of the second above it [2]_. Nothing
        is assumed but that lists are independent and propensities right; they are wide. A lower
        one above the upper one says that propensities or probabilities are wrong.

        Parameters
        ----------
        max_weight : float
            At which the weights were clipped.
        max_items : int
            Of the longest list.

        References
        ----------
        .. [1] Maurer, Pontil. Empirical Bernstein bounds and sample variance penalization. COLT
           2009. Theorem 11.
        .. [2] Bottou et al. Counterfactual reasoning and learning systems. JMLR 14, 2013. Section
           4.4, inner and outer intervals.
        """
        product_GG = self.product_GG
        n_lists, n_items = float(product_GG[_LISTS, _LISTS]), self.samples
        if n_lists < 2:
            return 0.0, 1.0
        won, weight = _CLIPPED_IPS, _CLIPPED_WEIGHT
        lost_total = float(product_GG[_LISTS, weight] - product_GG[_LISTS, won])
        lost_square = float(
            product_GG[weight, weight] - 2 * product_GG[weight, won] + product_GG[won, won]
        )
        per_item = n_lists / n_items
        lows = [
            mean - bernstein_margin(int(n_lists), variance, largest, _ALPHA / 2)
            for mean, variance, largest in (
                (
                    total / n_items,
                    max(square - total**2 / n_lists, 0.0) / (n_lists - 1) * per_item**2,
                    max_weight * max_items * per_item,
                )
                for total, square in (
                    (float(product_GG[_LISTS, won]), float(product_GG[won, won])),
                    (lost_total, lost_square),
                )
            )
        ]
        return max(lows[0], 0.0), min(1.0 - lows[1], 1.0)
