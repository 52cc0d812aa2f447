"""Fixed hashes of ids: the same on every machine and in every run, unlike Python's own `hash`."""

from hashlib import blake2b


def hash64(text: str) -> int:
    """A signed 64-bit hash of an id.

    Examples
    --------
    >>> hash64("u1") == hash64("u1"), hash64("u1") == hash64("u2")
    (True, False)
    """
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def hash32(text: str) -> int:
    """An unsigned 32-bit hash of an id; breaks ties between equal scores."""
    return hash64(text) & 0xFFFFFFFF
