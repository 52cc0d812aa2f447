"""What items and users of the simulated shop are like, beside their words: attributes and vectors.

# V items, U users, N some users, C categories, E length of a vector
"""

import numpy as np

from stream.sources.shop import Shop
from stream.sources.shop_config import START_MS, Draws, generator
from stream.values import Int64s, Record

SEGMENTS = 6
# How many users are in the segment of their favourite category; the others are in any.
_TRUE_SEGMENT_RATIO = 0.8
_AGES = (18, 75)
_AGE_DEVIATION = 6.0
_PRICE_DEVIATION = 0.3
_SERIES_DEVIATION = 0.5
_IMAGE_DEVIATION = 0.3
_DIGITS = 4


class ItemAttributes:
    """A brand, which a series has to itself; a price, which goes with the category; an image.

    Parameters
    ----------
    shop : Shop
    """

    def __init__(self, shop: Shop) -> None:
        config, rng = shop.config, generator(shop.config, Draws.ATTRIBUTES)
        n_items, category_V = len(shop.items.category_V), shop.items.category_V
        number_of: dict[str, int] = {}
        names = [title.rpartition("-")[0] for title in shop.items.title_V]
        self._series_V = np.array([number_of.setdefault(one, len(number_of)) for one in names])
        typical_C = rng.normal(3.0, 1.0, config.categories)
        self._price_V = np.exp(typical_C[category_V] + rng.normal(0, _PRICE_DEVIATION, n_items))
        centre_CE = rng.normal(size=(config.categories, config.vectors))
        series_E = _SERIES_DEVIATION * rng.normal(size=(len(number_of), config.vectors))
        self._image_VE = centre_CE[category_V] + series_E[self._series_V]
        self._image_VE += _IMAGE_DEVIATION * rng.normal(size=self._image_VE.shape)
        self._has_attributes, self._has_vectors = config.attributes, config.vectors > 0

    def of(self, item: int) -> Record:
        """What an item's event says of it."""
        told: Record = {}
        if self._has_attributes:
            price = round(float(self._price_V[item]), 2)
            told["attributes"] = {"brand": f"brand-{self._series_V[item]}", "price": price}
        if self._has_vectors:
            told["vectors"] = {"image": self._image_VE[item].round(_DIGITS).tolist()}
        return told


class UserAttributes:
    """A segment and an age, both of which go with the first favourite category.

    Parameters
    ----------
    shop : Shop
    """

    def __init__(self, shop: Shop) -> None:
        config, rng = shop.config, generator(shop.config, Draws.ATTRIBUTES, 1)
        everybody_U: Int64s = np.arange(config.users)
        favourite_U = shop.taste(everybody_U, np.full(config.users, START_MS)).argmax(axis=1)
        segment_C = rng.permutation(config.categories) % SEGMENTS
        is_true_U = rng.random(config.users) < _TRUE_SEGMENT_RATIO
        any_U = rng.integers(0, SEGMENTS, config.users)
        self._segment_U = np.where(is_true_U, segment_C[favourite_U], any_U)
        typical_C = rng.uniform(*_AGES, config.categories)
        self._age_U = typical_C[favourite_U] + rng.normal(0, _AGE_DEVIATION, config.users)
        self._has_attributes = config.attributes

    def of(self, user: int) -> Record:
        """What a user's profile says beside its text."""
        if not self._has_attributes:
            return {}
        age = round(float(self._age_U[user]), 1)
        return {"attributes": {"segment": f"segment-{self._segment_U[user]}", "age": age}}
