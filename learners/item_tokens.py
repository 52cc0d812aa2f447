"""What an item says of itself, as tokens: words of its title and text, category, attributes.

Tokens are hashed into a fixed number of buckets: an endless stream has no last word, and two
tokens that share a bucket cost little while buckets are many [1]_.

References
----------
.. [1] Weinberger, Dasgupta, Langford, Smola, Attenberg. Feature Hashing for Large Scale Multitask
   Learning. ICML 2009.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stream.id_hash import hash32

_WORD = re.compile(r"\w+")
_MAX_WORD = 64
_FIELD_WORDS = {"title": 16, "text": 32}
_MAX_VALUES = 16


def tokens(told: Mapping[str, Any]) -> list[str]:
    """The distinct tokens of an item's metadata, the most telling first.

    Attributes and category come before words, and no field has more than some tens: a text as
    long as a book costs no more than its first lines.

    Parameters
    ----------
    told : mapping
        `title`, `text`, `category` and `attributes` of an item event, as far as it had them.

    Examples
    --------
    >>> tokens({"title": "Red shoes", "category": "shoes", "attributes": {"price": 49.9}})
    ['category=shoes', 'price~5.5', 'red', 'shoes']
    """
    found: dict[str, None] = {}
    if category := told.get("category"):
        found[f"category={category}"[:_MAX_WORD]] = None
    attributes = told.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, Mapping) else ():
        for text in _values(value):
            found[f"{name}{text}"[:_MAX_WORD]] = None
    for field, limit in _FIELD_WORDS.items():
        found |= dict.fromkeys(_words(str(told.get(field) or ""), limit))
    return list(found)


def buckets(told: Mapping[str, Any], n_buckets: int, n_tokens: int) -> list[int]:
    """The buckets of an item's first tokens, each once."""
    return list(dict.fromkeys(hash32(one) % n_buckets for one in tokens(told)))[:n_tokens]


def _words(text: str, limit: int) -> Iterator[str]:
    for number, match in enumerate(_WORD.finditer(text)):
        if number == limit:
            return
        yield match[0].lower()[:_MAX_WORD]


def _values(value: Any) -> Iterator[str]:
    """An attribute's values; numbers that are measured share a token with their like.

    A whole number stands for itself, as a year does; others by their size in halves of an octave.
    """
    if isinstance(value, list):
        for one in value[:_MAX_VALUES]:
            if not isinstance(one, list):
                yield from _values(one)
    elif isinstance(value, float) and math.isfinite(value) and value != int(value):
        sign = "-" if value < 0 else ""
        yield f"~{sign}{round(2 * math.log2(abs(value))) / 2:g}"
    elif isinstance(value, str | int | float) and value != "":
        yield f"={value}"
