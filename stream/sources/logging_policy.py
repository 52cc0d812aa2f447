"""The shop's own ranking: what a visitor is shown, and how likely that was.

# N lists, K places of a list, U users, V items, C categories, M moments at which the stock changes

A list is a Plackett-Luce draw: place by place, one of the items that are not in it yet, with a
probability in proportion to exp(score). The score of an item for a user is a sum

    popularity_weight * log(popularity) + quality_weight * quality + taste_weight * log(taste)

of which the policy knows the quality and the taste with an error, and the taste as it was days
ago. A ranking that is broken has the scores turned around, a random one has none. As the score
is the sum of a part of the item and one of its category, a place is drawn in two steps, the
category and then an item in it: the whole catalogue takes part, and no item is looked at alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from stream.sources.shelf import Shelf
from stream.sources.shop import Shop
from stream.sources.shop_config import DAY_MS, NEVER_MS, START_MS, Draws, generator
from stream.values import Bools, Float64s, Int64s

Ranking = Literal["sound", "broken", "random"]

_POPULARITY_WEIGHT = 0.5
_QUALITY_WEIGHT = 2.0
_TASTE_WEIGHT = 1.2
_QUALITY_ERROR = 0.15
# Of the logarithm of a taste.
_TASTE_ERROR = 0.5
_TASTE_AGE_MS = 2 * DAY_MS
# No category is quite forgotten, whatever is thought of a user's taste.
_LEAST_TASTE = 0.02
# What each kind of ranking makes of the scores.
_SCORE_FACTOR: dict[Ranking, float] = {"sound": 1.0, "broken": -1.0, "random": 0.0}
_MAX_TRIES = 50
_PROPENSITY_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Ranked:
    """Lists as they were drawn.

    `item_NK` is -1 past the end of a list, which comes early where fewer items can be listed.
    `propensity_NK` is the probability of each item at its place, given the places before it,
    to six digits and in (0, 1]; 0 past the end.
    """

    item_NK: Int64s
    propensity_NK: Float64s


class LoggingPolicy:
    """Draws lists of items on sale.

    Parameters
    ----------
    shop : Shop
        Whose items are listed.
    notice_ms : int
        Items that leave within this time are listed no more, so that what is clicked within it
        is still there.

    Examples
    --------
    >>> from stream.sources.shop_config import SimulatorConfig
    >>> policy = LoggingPolicy(Shop(SimulatorConfig(items=24, categories=2)), notice_ms=1000)
    >>> user, ts = np.array([7]), np.array([START_MS])
    >>> ranked = policy.rank("random", user, ts, 3, np.random.default_rng(0))
    >>> ranked.item_NK.shape, (1 / ranked.propensity_NK).round(3).tolist()
    ((1, 3), [[15.0, 14.0, 13.0]])
    """

    def __init__(self, shop: Shop, notice_ms: int) -> None:
        self._shop = shop
        self._leave_ms_V = np.where(
            shop.items.retire_ms_V == NEVER_MS, NEVER_MS, shop.items.retire_ms_V - notice_ms
        )
        rng = generator(shop.config, Draws.ESTIMATES)
        quality_V = shop.items.quality_V + rng.normal(0, _QUALITY_ERROR, len(self._leave_ms_V))
        self._score_V = (
            _POPULARITY_WEIGHT * np.log(shop.items.popularity_V) + _QUALITY_WEIGHT * quality_V
        )
        self._taste_error_UC = rng.normal(0, _TASTE_ERROR, shop.users.distant_UC.shape)

    def rank(
        self, ranking: Ranking, user_N: Int64s, ts_N: Int64s, list_items: int, rng: Generator
    ) -> Ranked:
        """Lists for users at times.

        Parameters
        ----------
        ranking : {"sound", "broken", "random"}
            How it is ranked: as meant, with all scores turned around, or not at all.
        user_N, ts_N : int64 arrays, shape (N,)
            For whom, and when.
        list_items : int
            K, the most items a list has.
        rng : Generator
            Where the draws come from.
        """
        factor = _SCORE_FACTOR[ranking]
        weight_V = np.exp(factor * self._score_V)
        weight_NC = np.exp(factor * self._category_scores(user_N, ts_N))
        shelf = Shelf(self._shop.items.category_V, weight_V)
        # The weights of what can be listed still, end to end, and how many items they are.
        left_NC, n_left_NC = self._listed(weight_V, ts_N)
        item_NK = np.full((len(user_N), list_items), -1)
        propensity_NK = np.zeros(item_NK.shape)
        for place in range(list_items):
            rows = np.flatnonzero(n_left_NC.any(axis=1))
            if not len(rows):
                break
            ends_RC = np.cumsum(left_NC[rows] * weight_NC[rows], axis=1)
            point_R = rng.random(len(rows)) * ends_RC[:, -1]
            category = (ends_RC[:, :-1] <= point_R[:, None]).sum(axis=1)
            item = self._draw_items(shelf, category, ts_N[rows], item_NK[rows, :place], rng)
            item_NK[rows, place] = item
            weight = weight_V[item]
            propensity_NK[rows, place] = weight * weight_NC[rows, category] / ends_RC[:, -1]
            left_NC[rows, category] -= weight
            n_left_NC[rows, category] -= 1
            # What rounding errors leave of the last item must not be drawn.
            left_NC[n_left_NC == 0] = 0.0
        return Ranked(item_NK, _rounded(propensity_NK))

    def _category_scores(self, user_N: Int64s, ts_N: Int64s) -> Float64s:
        taste_NC = self._shop.taste(user_N, np.maximum(ts_N - _TASTE_AGE_MS, START_MS))
        score_NC: Float64s = _TASTE_WEIGHT * (
            np.log(taste_NC + _LEAST_TASTE) + self._taste_error_UC[user_N]
        )
        return score_NC

    def _listed(self, weight_V: Float64s, ts_N: Int64s) -> tuple[Float64s, Int64s]:
        """By category, the weight and the number of the items that can be listed at a time."""
        items = self._shop.items
        come = np.flatnonzero(items.launch_ms_V < self._leave_ms_V)
        go = come[self._leave_ms_V[come] < NEVER_MS]
        item_M = np.concatenate([come, go])
        ts_M = np.concatenate([items.launch_ms_V[come], self._leave_ms_V[go]])
        step_M = np.repeat([1, -1], [len(come), len(go)])
        order_M = np.argsort(ts_M, kind="stable")
        item_M, ts_M, step_M = item_M[order_M], ts_M[order_M], step_M[order_M]
        count_MC = np.zeros((len(item_M), self._shop.config.categories), np.int64)
        sum_MC = np.zeros(count_MC.shape)
        moment_M = np.arange(len(item_M))
        count_MC[moment_M, items.category_V[item_M]] = step_M
        sum_MC[moment_M, items.category_V[item_M]] = step_M * weight_V[item_M]
        # Every category has a staple from the start on, so that no time lies before the first.
        latest_N = np.searchsorted(ts_M, ts_N, side="right") - 1
        return sum_MC.cumsum(axis=0)[latest_N], count_MC.cumsum(axis=0)[latest_N]

    def _is_listed(self, item_N: Int64s, ts_N: Int64s) -> Bools:
        is_listed_N: Bools = (self._shop.items.launch_ms_V[item_N] <= ts_N) & (
            ts_N < self._leave_ms_V[item_N]
        )
        return is_listed_N

    def _draw_items(
        self, shelf: Shelf, category_N: Int64s, ts_N: Int64s, earlier_NK: Int64s, rng: Generator
    ) -> Int64s:
        """Items of given categories by weight, among those listed that the list has not yet."""
        item_N = np.zeros(len(category_N), np.int64)
        todo = np.arange(len(category_N))
        for _ in range(_MAX_TRIES):
            item_N[todo] = shelf.at(category_N[todo], rng.random(len(todo)))
            is_taken = (earlier_NK[todo] == item_N[todo, None]).any(axis=1)
            todo = todo[is_taken | ~self._is_listed(item_N[todo], ts_N[todo])]
            if not len(todo):
                return item_N
        # Where little of a category's weight is left, throwing away what cannot be had takes
        # forever; these few are drawn from what can.
        for n in todo.tolist():
            members = shelf.members(int(category_N[n]))
            members = members[self._is_listed(members, ts_N[n])]
            members = members[~np.isin(members, earlier_NK[n])]
            ends = np.cumsum(shelf.weight_V[members])
            item_N[n] = members[np.searchsorted(ends, rng.random() * ends[-1], side="right")]
        return item_N


def _rounded(propensity_NK: Float64s) -> Float64s:
    """To a few digits: what is logged need not be longer."""
    exponent_NK = np.floor(np.log10(np.where(propensity_NK > 0, propensity_NK, 1.0)))
    scale_NK = 10.0 ** (_PROPENSITY_DIGITS - 1 - exponent_NK)
    rounded_NK: Float64s = np.minimum(np.rint(propensity_NK * scale_NK) / scale_NK, 1.0)
    return rounded_NK
