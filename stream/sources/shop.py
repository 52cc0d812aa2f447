"""A small shop that exists only as arrays: its items, its users, and what they want when.

# U users, V items, C categories, N (user, item, time) triples or draws

Everything follows from the seed. Tastes and what is on sale are functions of time, so that a
model can be judged against the truth at any instant.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from stream.sources.shop_words import CATEGORY_WORDS
from stream.values import Bools, Float64s, Int64s

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
NEVER_MS = int(np.iinfo(np.int64).max)

# Of a user's taste, this much is one favourite category; the rest is spread unevenly.
_FAVOURITE_SHARE = 0.6
_SERIES_ITEMS = (5, 12)
# Popularity falls as rank to this power: Zipf's law, for items within their category.
_ITEM_ZIPF = 1.0
_CATEGORY_ZIPF = 0.7
# The click probability of a perfect item shown to a user who wants nothing but its category.
_MAX_CLICK_RATIO = 0.4


class SimulatorConfig(BaseModel):
    """How large the shop is, how long it is watched, and how much it changes.

    `switching_ratio` of the users take up a new favourite during the day that begins
    `switch_day` days after the start; the taste of everybody moves by `drift_ratio` from the
    first to the last day. `launched_ratio` of the items appear after the start,
    `retired_ratio` leave before the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt = 0
    clicks: PositiveInt = 60_000
    users: PositiveInt = 2000
    items: PositiveInt = 1000
    categories: int = Field(default=12, ge=2, le=len(CATEGORY_WORDS))
    days: PositiveInt = 14
    switching_ratio: float = Field(default=0.3, ge=0, le=1)
    switch_day: float = Field(default=8.0, ge=0)
    drift_ratio: float = Field(default=0.2, ge=0, le=1)
    launched_ratio: float = Field(default=0.3, ge=0, le=1)
    retired_ratio: float = Field(default=0.2, ge=0, le=1)

    @model_validator(mode="after")
    def _every_category_has_items(self) -> "SimulatorConfig":
        if self.items < self.categories:
            raise ValueError(f"{self.items} items cannot fill {self.categories} categories")
        return self

    @property
    def end_ms(self) -> int:
        """The first instant after the last day."""
        return START_MS + self.days * DAY_MS


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

    `first_UC` is a taste before the switch, `second_UC` after, `distant_UC` where either drifts
    to; `switch_ms_U` is `NEVER_MS` for users who stay as they are.
    """

    activity_U: Float64s
    first_UC: Float64s
    second_UC: Float64s
    distant_UC: Float64s
    switch_ms_U: Int64s


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
        rng = np.random.default_rng([config.seed, 0])
        self.category_names = tuple(CATEGORY_WORDS)[: config.categories]
        self.items = _stocked_items(config, self.category_names, rng)
        self.users = _invited_users(config, rng)
        # Popularities end to end by category: a uniform draw in a category's range is an item.
        self._shelf_V = np.argsort(self.items.category_V, kind="stable")
        self._shelf_ends_V = np.cumsum(self.items.popularity_V[self._shelf_V])
        counts_C = np.bincount(self.items.category_V, minlength=config.categories)
        self._last_C = np.cumsum(counts_C) - 1
        self._first_C = self._last_C - counts_C + 1

    def taste(self, user_N: Int64s, ts_N: Int64s) -> Float64s:
        """What users want at a time: the share of each category, shape (N, C), rows sum to 1."""
        users = self.users
        is_switched_N = ts_N >= users.switch_ms_U[user_N]
        settled_NC = np.where(
            is_switched_N[:, None], users.second_UC[user_N], users.first_UC[user_N]
        )
        progress_N = np.clip((ts_N - START_MS) / (self.config.end_ms - START_MS), 0.0, 1.0)
        moved_N1 = (self.config.drift_ratio * progress_N)[:, None]
        taste_NC: Float64s = (1 - moved_N1) * settled_NC + moved_N1 * users.distant_UC[user_N]
        return taste_NC

    def is_on_sale(self, item_N: Int64s, ts_N: Int64s) -> Bools:
        """Whether items can be clicked at a time."""
        on_sale_N: Bools = (self.items.launch_ms_V[item_N] <= ts_N) & (
            ts_N < self.items.retire_ms_V[item_N]
        )
        return on_sale_N

    def click_probability(self, user_N: Int64s, item_N: Int64s, ts_N: Int64s) -> Float64s:
        """The true probability that a user who is shown an item clicks it, wherever it stands."""
        wanted_N = self.taste(user_N, ts_N)[np.arange(len(user_N)), self.items.category_V[item_N]]
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
        taste_UC = self.taste(everybody_U, np.full(self.config.users, ts_ms))
        demand_C: Float64s = self.users.activity_U @ taste_UC
        return demand_C

    def draw_categories(self, user_N: Int64s, ts_N: Int64s, rng: Generator) -> Int64s:
        """Categories by taste."""
        ends_NC = np.cumsum(self.taste(user_N, ts_N), axis=1)
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
            first, last = self._first_C[category_N[todo]], self._last_C[category_N[todo]]
            low = np.where(first > 0, self._shelf_ends_V[first - 1], 0.0)
            point = low + rng.random(len(todo)) * (self._shelf_ends_V[last] - low)
            place = np.clip(np.searchsorted(self._shelf_ends_V, point, side="right"), first, last)
            item_N[todo] = self._shelf_V[place]
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
        for number, series in enumerate(_cut_into_series(members, rng)):
            successor_V[series[:-1]] = series[1:]
            words = rng.choice(CATEGORY_WORDS[name], size=2, replace=False)
            for part, item in enumerate(series, start=1):
                title_V[item] = f"{words[0]} {words[1]} {name} {number + 1}-{part}"
    launch_ms_V, retire_ms_V = _shelf_lives(config, is_staple_V, rng)
    return ShopItems(
        category_V=category_V,
        popularity_V=popularity_V,
        quality_V=rng.uniform(0.3, 1.0, n_items),
        successor_V=successor_V,
        launch_ms_V=launch_ms_V,
        retire_ms_V=retire_ms_V,
        title_V=title_V,
    )


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


def _invited_users(config: SimulatorConfig, rng: Generator) -> ShopUsers:
    n_users, n_categories = config.users, config.categories
    weight_C = _zipf(n_categories, _CATEGORY_ZIPF)
    favourite_U = rng.choice(n_categories, n_users, p=weight_C)
    # Fashion turns around: those who switch prefer what was unpopular, never what they had. The
    # largest of log-weights with Gumbel noise is a draw by weight.
    noisy_UC = np.log(weight_C[::-1]) + rng.gumbel(size=(n_users, n_categories))
    noisy_UC[np.arange(n_users), favourite_U] = -np.inf
    next_U = noisy_UC.argmax(axis=1)
    is_switching_U = rng.random(n_users) < config.switching_ratio
    switch_ms_U = START_MS + ((config.switch_day + rng.random(n_users)) * DAY_MS).astype(np.int64)
    activity_U = rng.lognormal(0.0, 1.0, n_users)
    return ShopUsers(
        activity_U=activity_U / activity_U.sum(),
        first_UC=_tastes(favourite_U, n_categories, rng),
        second_UC=_tastes(next_U, n_categories, rng),
        distant_UC=rng.dirichlet(np.ones(n_categories), n_users),
        switch_ms_U=np.where(is_switching_U, switch_ms_U, NEVER_MS),
    )


def _tastes(favourite_U: Int64s, n_categories: int, rng: Generator) -> Float64s:
    taste_UC: Float64s = (1 - _FAVOURITE_SHARE) * rng.dirichlet(
        np.full(n_categories, 0.5), len(favourite_U)
    )
    taste_UC[np.arange(len(favourite_U)), favourite_U] += _FAVOURITE_SHARE
    return taste_UC
