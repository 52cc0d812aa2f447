"""What items and users say of themselves, as tokens: words of texts, category, attributes.

Tokens are hashed into a fixed number of buckets: an endless stream has no last word, and two
tokens that share a bucket cost little while buckets are many [1]_.

References
----------
.. [1] Weinberger, Dasgupta, Langford, Smola, Attenberg. Feature Hashing for Large Scale Multitask
   Learning. ICML 2009.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stream.id_hash import hash32

_WORD = re.compile(r"\w+")
MAX_TOKEN = 64
"""Characters of a token: what is longer is cut."""
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
        found[f"category={category}"[:MAX_TOKEN]] = None
    found |= dict.fromkeys(value_tokens(told.get("attributes")))
    for field, limit in _FIELD_WORDS.items():
        found |= dict.fromkeys(words(str(told.get(field) or ""), limit))
    return list(found)


def buckets(told: Mapping[str, Any], n_buckets: int, n_tokens: int) -> list[int]:
    """The buckets of an item's first tokens, each once."""
    return hashed(tokens(told), n_buckets, n_tokens)


def hashed(found: Iterable[str], n_buckets: int, n_tokens: int) -> list[int]:
    """The buckets of the first tokens, each once."""
    return list(dict.fromkeys(hash32(one) % n_buckets for one in found))[:n_tokens]


def value_tokens(attributes: object) -> Iterator[str]:
    """A token for each value of attributes, which are nothing if they are no mapping.

    Examples
    --------
    >>> list(value_tokens({"city": "Oslo", "likes": ["tea", "go"], "height": 1.8}))
    ['city=Oslo', 'likes=tea', 'likes=go', 'height~1']
    """
    for name, value in attributes.items() if isinstance(attributes, Mapping) else ():
        for text in _values(value):
            yield f"{name}{text}"[:MAX_TOKEN]


def size_token(name: str, value: float) -> str:
    """The token that a number shares with those of about its size: halves of an octave.

    Examples
    --------
    >>> size_token("price", 49.9) == size_token("price", 50), size_token("price", 0)
    (True, 'price~0')
    """
    return f"{name}{_size(value)}"[:MAX_TOKEN] if value else f"{name}~0"


def words(text: str, limit: int) -> Iterator[str]:
    """The first words of a text, in small letters."""
    for number, match in enumerate(_WORD.finditer(text)):
        if number == limit:
            return
        yield match[0].lower()[:MAX_TOKEN]


def _values(value: Any) -> Iterator[str]:
    """An attribute's values; numbers that are measured share a token with their like.

    A whole number stands for itself, as a year does; others by their size in halves of an octave.
    """
    if isinstance(value, list):
        for one in value[:_MAX_VALUES]:
            if not isinstance(one, list):
                yield from _values(one)
    elif isinstance(value, float) and math.isfinite(value) and value != int(value):
        yield _size(value)
    elif isinstance(value, str | int | float) and value != "":
        yield f"={value}"


def _size(value: float) -> str:
    sign = "-" if value < 0 else ""
    return f"~{sign}{round(2 * math.log2(abs(value))) / 2:g}"
