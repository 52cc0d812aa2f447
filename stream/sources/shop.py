"""A small shop that exists only as arrays: its items, its users, and what they want when.

# U users, V items, C categories, S tastes of a user, N (user, item, time) triples or draws

Everything follows from the seed. Tastes and what is on sale are functions of time, so that a
model can be judged against the truth at any instant.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from stream.sources.shelf import Shelf
from stream.sources.shop_config import (
    DAY_MS,
    NEVER_MS,
    START_MS,
    Draws,
    ScheduledEvent,
    SimulatorConfig,
    generator,
)
from stream.sources.shop_situations import Situations
from stream.sources.shop_words import CATEGORY_WORDS
from stream.values import Bools, Float64s, Int64s

__all__ = ["DAY_MS", "NEVER_MS", "START_MS", "Shop", "ShopItems", "ShopUsers", "SimulatorConfig"]

# Of a user's taste, this much is one favourite category; the rest is spread unevenly.
_FAVOURITE_SHARE = 0.6
_SERIES_ITEMS = (5, 12)
_QUALITY = (0.3, 1.0)
# Popularity falls as rank to this power: Zipf's law, for items within their category.
_ITEM_ZIPF = 1.0
_CATEGORY_ZIPF = 0.7
# The click probability of a perfect item shown to a user who wants nothing but its category.
_MAX_CLICK_RATIO = 0.4


@dataclass(frozen=True, slots=True)
class ShopItems:
    """What is sold; `successor_V` is the next item of a series, -1 after its last.

    An item is on sale from `launch_ms_V` to just before `retire_ms_V`.
    """

    category_V: Int64s
    popularity_V: Float64s
    quality_V: Float64s
    successor_V: Int64s
    launch_ms_V: Int64s
    retire_ms_V: Int64s
    title_V: list[str]


@dataclass(frozen=True, slots=True)
class ShopUsers:
    """Who buys, and what.

    `taste_SUC` are the tastes that users have one after the other, each from `since_ms_SU` on,
    which is `NEVER_MS` where a user does not take it up. `distant_UC` is where all of them
    drift to.
    """

    activity_U: Float64s
    taste_SUC: Float64s
    since_ms_SU: Int64s
    distant_UC: Float64s


class Shop:
    """The world behind a simulation.

    Examples
    --------
    >>> shop = Shop(SimulatorConfig(users=3, items=24))
    >>> shop.taste(np.array([0, 1]), np.array([START_MS, START_MS])).sum(axis=1)
    array([1., 1.])
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        rng = generator(config, Draws.SHOP)
        self.category_names = tuple(CATEGORY_WORDS)[: config.categories]
        self.items = _stocked_items(config, self.category_names, rng)
        self.users = _invited_users(config, rng)
        in_order = sorted(config.events, key=lambda event: event.start_ms)
        for number, event in enumerate(in_order, start=1):
            if event.kind == "catalogue_switch":
                rng = generator(config, Draws.CATALOGUE_SWITCH, number)
                self.items = _restocked_items(self.items, event, self.category_names, rng)
            elif event.kind == "taste_shift":
                rng = generator(config, Draws.TASTE_SHIFT, number)
                self.users = _with_new_favourites(self.users, event, rng)
        self._situations = Situations(config)
        self._shelf = Shelf(self.items.category_V, self.items.popularity_V)

    def taste(self, user_N: Int64s, ts_N: Int64s) -> Float64s:
        """What users want at a time: the share of each category, shape (N, C), rows sum to 1."""
        users = self.users
        since_ms_SN = users.since_ms_SU[:, user_N]
        latest_N = np.where(since_ms_SN <= ts_N, since_ms_SN, -1).argmax(axis=0)
        settled_NC = users.taste_SUC[latest_N, user_N]
        progress_N = np.clip((ts_N - START_MS) / (self.config.end_ms - START_MS), 0.0, 1.0)
        moved_N1 = (self.config.drift_ratio * progress_N)[:, None]
        taste_NC: Float64s = (1 - moved_N1) * settled_NC + moved_N1 * users.distant_UC[user_N]
        return taste_NC

    def wanted(self, user_N: Int64s, ts_N: Int64s, device_N: Int64s | None = None) -> Float64s:
        """What users want in their situation, shape (N, C): on any device unless it is named."""
        return self._situations.wanted(self.taste(user_N, ts_N), ts_N, device_N)

    def is_on_sale(self, item_N: Int64s, ts_N: Int64s) -> Bools:
        """Whether items can be clicked at a time."""
        on_sale_N: Bools = (self.items.launch_ms_V[item_N] <= ts_N) & (
            ts_N < self.items.retire_ms_V[item_N]
        )
        return on_sale_N

    def click_probability(
        self, user_N: Int64s, item_N: Int64s, ts_N: Int64s, device_N: Int64s | None = None
    ) -> Float64s:
        """The true probability that a user who is shown an item clicks it, wherever it stands."""
        wanted_NC = self.wanted(user_N, ts_N, device_N)
        wanted_N = wanted_NC[np.arange(len(user_N)), self.items.category_V[item_N]]
        probability_N: Float64s = (
            _MAX_CLICK_RATIO
            * wanted_N
            * self.items.quality_V[item_N]
            * self.is_on_sale(item_N, ts_N)
        )
        return probability_N

    def demand(self, ts_ms: int) -> Float64s:
        """The expected share of each category in the clicks made at a time, shape (C,)."""
        everybody_U = np.arange(self.config.users)
        taste_UC = self.wanted(everybody_U, np.full(self.config.users, ts_ms))
        demand_C: Float64s = self.users.activity_U @ taste_UC
        return demand_C

    def draw_categories(
        self, user_N: Int64s, ts_N: Int64s, rng: Generator, device_N: Int64s | None = None
    ) -> Int64s:
        """Categories by taste and situation."""
        ends_NC = np.cumsum(self.wanted(user_N, ts_N, device_N), axis=1)
        chance_N1 = rng.random((len(user_N), 1))
        # The last end may fall short of 1 by a rounding error.
        category_N: Int64s = (ends_NC[:, :-1] <= chance_N1).sum(axis=1)
        return category_N

    def draw_items(self, category_N: Int64s, ts_N: Int64s, rng: Generator) -> Int64s:
        """Items of given categories by popularity, among those on sale."""
        item_N = np.zeros(len(category_N), np.int64)
        todo = np.arange(len(category_N))
        # Ends: every category has an item that is on sale from first to last.
        while len(todo):
            item_N[todo] = self._shelf.at(category_N[todo], rng.random(len(todo)))
            todo = todo[~self.is_on_sale(item_N[todo], ts_N[todo])]
        return item_N


def _stocked_items(
    config: SimulatorConfig, category_names: tuple[str, ...], rng: Generator
) -> ShopItems:
    n_items = config.items
    category_V = rng.permutation(np.arange(n_items) % config.categories)
    popularity_V = np.zeros(n_items)
    successor_V = np.full(n_items, -1)
    title_V = [""] * n_items
    is_staple_V = np.zeros(n_items, bool)
    for category, name in enumerate(category_names):
        members = np.flatnonzero(category_V == category)
        popularity_V[members] = rng.permutation(_zipf(len(members), _ITEM_ZIPF))
        is_staple_V[members[np.argmax(popularity_V[members])]] = True
        _arrange(members, name, 1, (successor_V, title_V), rng)
    launch_ms_V, retire_ms_V = _shelf_lives(config, is_staple_V, rng)
    return ShopItems(
        category_V=category_V,
        popularity_V=popularity_V,
        quality_V=rng.uniform(*_QUALITY, n_items),
        successor_V=successor_V,
        launch_ms_V=launch_ms_V,
        retire_ms_V=retire_ms_V,
        title_V=title_V,
    )


def _arrange(
    members: Int64s,
    category_name: str,
    first_number: int,
    onto: tuple[Int64s, list[str]],
    rng: Generator,
) -> None:
    """Make items of a category into series: fill in which follows which, and their titles."""
    successor_V, title_V = onto
    for number, series in enumerate(_cut_into_series(members, rng), start=first_number):
        successor_V[series[:-1]] = series[1:]
        words = rng.choice(CATEGORY_WORDS[category_name], size=2, replace=False)
        for part, item in enumerate(series, start=1):
            title_V[item] = f"{words[0]} {words[1]} {category_name} {number}-{part}"


def _zipf(n: int, power: float) -> Float64s:
    weight_N = np.arange(1, n + 1, dtype=np.float64) ** -power
    share_N: Float64s = weight_N / weight_N.sum()
    return share_N


def _cut_into_series(members: Int64s, rng: Generator) -> list[Int64s]:
    shortest, longest = _SERIES_ITEMS
    lengths = rng.integers(shortest, longest, len(members) // shortest + 1, endpoint=True)
    ends = np.cumsum(lengths)
    return [part for part in np.split(members, ends[ends < len(members)]) if len(part)]


def _shelf_lives(
    config: SimulatorConfig, is_staple_V: Bools, rng: Generator
) -> tuple[Int64s, Int64s]:
    """When items are launched and retired; staples are there from first to last."""
    n_items, span_ms = config.items, config.end_ms - START_MS
    is_launched_V = (rng.random(n_items) < config.launched_ratio) & ~is_staple_V
    is_retired_V = (rng.random(n_items) < config.retired_ratio) & ~is_staple_V
    launch_ms_V = START_MS + np.where(is_launched_V, rng.integers(1, span_ms, n_items), 0)
    # At least a tenth of what is left to an item passes before it may go.
    left_ms_V = config.end_ms - launch_ms_V
    stay_ms_V = (left_ms_V * rng.uniform(0.1, 1.0, n_items)).astype(np.int64) + 1
    retire_ms_V = np.where(is_retired_V, launch_ms_V + stay_ms_V, NEVER_MS)
    return launch_ms_V, retire_ms_V


def _restocked_items(
    items: ShopItems, event: ScheduledEvent, category_names: tuple[str, ...], rng: Generator
) -> ShopItems:
    """A share of the items on sale leaves at once; each is followed by one as popular."""
    n_items, at_ms = len(items.category_V), event.start_ms
    is_going_V = (items.launch_ms_V <= at_ms) & (at_ms < items.retire_ms_V)
    for category in range(len(category_names)):
        # The staple of a category stays: nobody ever finds it empty.
        members = np.flatnonzero(items.category_V == category)
        is_going_V[members[np.argmax(items.popularity_V[members])]] = False
    going = np.flatnonzero(is_going_V)
    going = np.sort(rng.permutation(going)[: round(event.share * len(going))])
    retire_ms_V = items.retire_ms_V.copy()
    retire_ms_V[going] = at_ms
    category_V = np.append(items.category_V, items.category_V[going])
    successor_V = np.append(items.successor_V, np.full(len(going), -1))
    title_V = [*items.title_V, *[""] * len(going)]
    for category, name in enumerate(category_names):
        coming = n_items + np.flatnonzero(items.category_V[going] == category)
        # More than the series so far, of which each has an item at least.
        first_number = int((items.category_V == category).sum()) + 1
        _arrange(coming, name, first_number, (successor_V, title_V), rng)
    return ShopItems(
        category_V=category_V,
        popularity_V=np.append(items.popularity_V, items.popularity_V[going]),
        quality_V=np.append(items.quality_V, rng.uniform(*_QUALITY, len(going))),
        successor_V=successor_V,
        launch_ms_V=np.append(items.launch_ms_V, np.full(len(going), at_ms)),
        retire_ms_V=np.append(retire_ms_V, np.full(len(going), NEVER_MS)),
        title_V=title_V,
    )


def _invited_users(config: SimulatorConfig, rng: Generator) -> ShopUsers:
    n_users, n_categories = config.users, config.categories
    weight_C = _zipf(n_categories, _CATEGORY_ZIPF)
    favourite_U = rng.choice(n_categories, n_users, p=weight_C)
    # Fashion turns around: those who switch prefer what was unpopular.
    next_U = _other_favourites(favourite_U, weight_C[::-1], rng)
    is_switching_U = rng.random(n_users) < config.switching_ratio
    switch_ms_U = START_MS + ((config.switch_day + rng.random(n_users)) * DAY_MS).astype(np.int64)
    activity_U = rng.lognormal(0.0, 1.0, n_users)
    return ShopUsers(
        activity_U=activity_U / activity_U.sum(),
        taste_SUC=np.stack(
            [_tastes(chosen_U, n_categories, rng) for chosen_U in (favourite_U, next_U)]
        ),
        since_ms_SU=np.stack(
            [np.zeros(n_users, np.int64), np.where(is_switching_U, switch_ms_U, NEVER_MS)]
        ),
        distant_UC=rng.dirichlet(np.ones(n_categories), n_users),
    )


def _with_new_favourites(users: ShopUsers, event: ScheduledEvent, rng: Generator) -> ShopUsers:
    """A share of the users take up another favourite, each at a moment of the event."""
    n_users, n_categories = users.distant_UC.shape
    since_ms_U = rng.integers(event.start_ms, event.end_ms, n_users)
    latest_U = np.where(users.since_ms_SU < since_ms_U, users.since_ms_SU, -1).argmax(axis=0)
    favourite_U = users.taste_SUC[latest_U, np.arange(n_users)].argmax(axis=1)
    fashion_C = rng.permutation(_zipf(n_categories, _CATEGORY_ZIPF))
    next_U = _other_favourites(favourite_U, fashion_C, rng)
    is_switching_U = np.zeros(n_users, np.bool_)
    is_switching_U[rng.permutation(n_users)[: round(event.share * n_users)]] = True
    return replace(
        users,
        taste_SUC=np.concatenate([users.taste_SUC, _tastes(next_U, n_categories, rng)[None]]),
        since_ms_SU=np.concatenate(
            [users.since_ms_SU, np.where(is_switching_U, since_ms_U, NEVER_MS)[None]]
        ),
    )


def _other_favourites(favourite_U: Int64s, weight_C: Float64s, rng: Generator) -> Int64s:
    """Categories by weight, never what a user has."""
    # The largest of log-weights with Gumbel noise is a draw by weight.
    noisy_UC = np.log(weight_C) + rng.gumbel(size=(len(favourite_U), len(weight_C)))
    noisy_UC[np.arange(len(favourite_U)), favourite_U] = -np.inf
    other_U: Int64s = noisy_UC.argmax(axis=1)
    return other_U


def _tastes(favourite_U: Int64s, n_categories: int, rng: Generator) -> Float64s:
    taste_UC: Float64s = (1 - _FAVOURITE_SHARE) * rng.dirichlet(
        np.full(n_categories, 0.5), len(favourite_U)
    )
    taste_UC[np.arange(len(favourite_U)), favourite_U] += _FAVOURITE_SHARE
    return taste_UC
