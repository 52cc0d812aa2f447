"""What follows on clicks in the simulated shop: purchases and opinions.

# N clicks, P purchases, F opinions, V items
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.random import Generator

from stream.sources.shop import Shop
from stream.sources.shop_config import DAY_MS, Draws, generator
from stream.values import Bools, Float64s, Int64s

CURRENCY = "EUR"

_CONVERSION_DELAY_MS = (60_000, 3 * DAY_MS)
_FEEDBACK_RATIO = 0.1
_FEEDBACK_DELAY_MS = (3_000, 600_000)
_KINDS = ("dwell", "opinion", "rating")
_KIND_SHARES = (0.5, 0.3, 0.2)
_BEST_RATING = 5
# How long somebody stays on an item of perfect quality, at the median.
_LONGEST_DWELL_S = 120


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks in order of time; `request_N` numbers the list that a click was on, else -1."""

    user_N: Int64s
    item_N: Int64s
    ts_N: Int64s
    session_N: Int64s
    request_N: Int64s

    def __len__(self) -> int:
        return len(self.user_N)

    def select(self, index_N: Int64s | Bools) -> "Clicks":
        """The clicks with these numbers, or where this is true."""
        return Clicks(*(getattr(self, column.name)[index_N] for column in fields(self)))

    def followed_by(self, others: "Clicks") -> "Clicks":
        """These clicks, then the others."""
        return Clicks(
            *(
                np.concatenate([getattr(self, column.name), getattr(others, column.name)])
                for column in fields(self)
            )
        )


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases in order of time, each with the number of its click."""

    click_P: Int64s
    ts_P: Int64s
    value_P: Float64s


@dataclass(frozen=True, slots=True)
class Opinions:
    """Feedback in order of time, each with the number of its click; nan says "no value"."""

    click_F: Int64s
    ts_F: Int64s
    kind_F: list[str]
    value_F: Float64s


def conversion_probability(shop: Shop, user_N: Int64s, item_N: Int64s, ts_N: Int64s) -> Float64s:
    """The true probability that a click on an item at a time is followed by a purchase, ever.

    Examples
    --------
    >>> from stream.sources.shop_config import START_MS, SimulatorConfig
    >>> shop = Shop(SimulatorConfig(users=1, items=24, conversion_taste=1.0))
    >>> nobody, noon = np.zeros(24, np.int64), np.full(24, START_MS)
    >>> bool((conversion_probability(shop, nobody, np.arange(24), noon) < 0.1).all())
    True
    """
    config = shop.config
    probability_N: Float64s = config.conversion_ratio * shop.items.quality_V[item_N]
    if config.conversion_taste:
        taste_NC = shop.taste(user_N, ts_N)
        wanted_N = taste_NC[np.arange(len(user_N)), shop.items.category_V[item_N]]
        probability_N *= 1 - config.conversion_taste * (1 - wanted_N)
    return probability_N


def purchases(shop: Shop, clicks: Clicks) -> Purchases:
    """What is bought before the end, some minutes to three days after a click."""
    rng = generator(shop.config, Draws.SEQUELS, 1)
    price_V = np.exp(rng.normal(3.0, 0.8, len(shop.items.quality_V))).round(2)
    probability_N = conversion_probability(shop, clicks.user_N, clicks.item_N, clicks.ts_N)
    bought = np.flatnonzero(rng.random(len(clicks)) < probability_N)
    click_P, ts_P = _later(shop, clicks, bought, _CONVERSION_DELAY_MS, rng)
    return Purchases(click_P, ts_P, price_V[clicks.item_N[click_P]])


def opinions(shop: Shop, clicks: Clicks) -> Opinions:
    """What users say before the end, the better the better the item."""
    rng = generator(shop.config, Draws.SEQUELS, 2)
    asked = np.flatnonzero(rng.random(len(clicks)) < _FEEDBACK_RATIO)
    click_F, ts_F = _later(shop, clicks, asked, _FEEDBACK_DELAY_MS, rng)
    quality_F = shop.items.quality_V[clicks.item_N[click_F]]
    topic_F = rng.choice(len(_KINDS), len(click_F), p=_KIND_SHARES)
    is_liked_F = rng.random(len(click_F)) < quality_F
    rating_F = 1 + rng.binomial(_BEST_RATING - 1, quality_F)
    dwell_F = (_LONGEST_DWELL_S * quality_F * rng.lognormal(0.0, 0.7, len(click_F))).round(1)
    kind_F = np.where(topic_F == 1, np.where(is_liked_F, "like", "dislike"), "rating")
    kind_F[topic_F == 0] = "dwell"
    value_F = np.select([topic_F == 0, topic_F == 2], [dwell_F, rating_F], np.nan)
    return Opinions(click_F, ts_F, kind_F.tolist(), value_F)


def _later(
    shop: Shop, clicks: Clicks, click_N: Int64s, delays_ms: tuple[int, int], rng: Generator
) -> tuple[Int64s, Int64s]:
    """Clicks and times of what follows on them, in order of time, up to the end."""
    # Equally likely on every scale, from the shortest to the longest.
    shortest, longest = np.log(delays_ms).tolist()
    delay_N = np.exp(rng.uniform(shortest, longest, len(click_N))).astype(np.int64)
    ts_N = clicks.ts_N[click_N] + delay_N
    order_N = np.argsort(ts_N, kind="stable")
    order_N = order_N[ts_N[order_N] < shop.config.end_ms]
    return click_N[order_N], ts_N[order_N]
