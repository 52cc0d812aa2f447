"""A dead letter as a line of a file."""

import msgspec

from stream.decoding import MAX_RAW_BYTES
from stream.values import Record


def dead_letter_line(record: Record) -> bytes:
    r"""The record as JSON, its `raw` bytes as text that a person can read.

    Of `raw` the first 4 KiB are kept; what is no UTF-8 among them is written as `\xff`.

    Examples
    --------
    >>> letter = {"seq": 4, "name": "dead_letter-0", "origin": "f:1", "reason": "no JSON"}
    >>> dead_letter_line({**letter, "raw": b"{\xff"})[-15:]
    b'"raw":"{\\\\xff"}'
    """
    # Cut before it is decoded: a character that is cut in two is written as its bytes.
    text = record["raw"][:MAX_RAW_BYTES].decode("utf-8", "backslashreplace")
    return msgspec.json.encode({**record, "raw": text})
