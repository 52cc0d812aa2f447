"""Bytes become events; events become the columns of a batch.

# N records, B clicks

A record that cannot be used becomes a `DeadLetter` with msgspec's reason; nothing raises. What
comes out is normal: ids are strings, `ts` is an int of milliseconds.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast, get_args

import msgspec
import numpy as np

from stream.events import (
    MAX_ID_CHARS,
    MAX_TS_MS,
    Click,
    Conversion,
    Event,
    Feedback,
    Impression,
    Item,
)
from stream.targets import MAX_GIVEN_TARGETS
from stream.values import Bools, DeadLetter, Int64s

Row = dict[str, Any]
"""The fields of one event by name, from a table or a renamed JSON object."""

T = TypeVar("T")
Entry = Event | DeadLetter
Bury = Callable[[int, str], DeadLetter]
"""Makes the dead letter of the record with this index, for this reason."""

MAX_RAW_BYTES = 4096
_MAX_REASON_CHARS = 500

EVENT_TYPES: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Event)
}
_FIELDS = {kind: msgspec.structs.fields(kind) for kind in EVENT_TYPES.values()}
_ID_FIELDS = {
    kind: tuple(
        field.name for field in fields if field.name in ("user", "item", "request_id", "session")
    )
    for kind, fields in _FIELDS.items()
}
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
_WITHOUT_TYPE = "Object missing required field `type`"


class EventDecoder:
    """Decodes records of one origin.

    Parameters
    ----------
    default_type : str
        The type of a record that names none.
    columns : mapping of str to str, optional
        For an event's field, the field of the record that holds it.

    Examples
    --------
    >>> decoder = EventDecoder()
    >>> lines = [b'{"user": 7, "item": "a", "ts": "2024-01-01"}', b'{"user": "", "item": "a"}']
    >>> click, letter = decoder.decode_lines(lines, lambda i, why: DeadLetter(f"f:{i}", why, b""))
    >>> click.user, click.ts
    ('7', 1704067200000)
    >>> letter.reason
    'Expected `str` of length >= 1 - at `$.user`'
    """

    def __init__(
        self, default_type: str = "click", columns: Mapping[str, str] | None = None
    ) -> None:
        self._default_type = default_type
        self._columns = dict(columns or {})
        self._decode = msgspec.json.Decoder(Event).decode
        self._decode_object = msgspec.json.Decoder(Row).decode
        self._opening = b'{"type":"%s",' % default_type.encode()
        # Only which of two equal ways is tried first, so it is no state.
        self._expects_type = True

    def decode_lines(self, lines: Sequence[bytes], bury: Bury) -> list[Entry]:
        """Events of JSON objects, one a line, in order; a bad one is buried."""
        if self._columns:
            return self._decode_renamed(lines, bury)
        events = self._decode_all(lines) if _is_utf8(lines) else None
        if events is not None:
            return _normal_or_buried(events, bury)
        return [
            _event_or_letter(self._event_of_line, i, bury, line) for i, line in enumerate(lines)
        ]

    def decode_rows(self, rows: Sequence[Row], bury: Bury) -> list[Entry]:
        """Events of rows that are keyed by event field already; a bad one is buried."""
        for row in rows:
            row.setdefault("type", self._default_type)
        try:
            events = msgspec.convert(rows, list[Event])
        except (ValueError, RecursionError):
            return [_event_or_letter(_event_of_row, i, bury, row) for i, row in enumerate(rows)]
        return _normal_or_buried(events, bury)

    def _decode_all(self, lines: Sequence[bytes]) -> list[Event] | None:
        # Line by line, not Decoder.decode_lines: that takes an object spread over two lines, and
        # two objects on one line, so that what is an event would depend on where a block ends.
        for expects_type in (self._expects_type, not self._expects_type):
            try:
                events = list(map(self._decode, lines if expects_type else self._with_type(lines)))
            except (ValueError, RecursionError):
                continue
            if len(events) == len(lines):
                self._expects_type = expects_type
                return events
        return None

    def _with_type(self, lines: Sequence[bytes]) -> list[bytes]:
        # A line that names another type than the default is refused by msgspec as ambiguous.
        opening = self._opening
        return [opening + line[1:] for line in lines if line.startswith(b"{")]

    def _event_of_line(self, line: bytes) -> Event:
        line.decode()  # unknown fields are skipped unread: only this finds bad bytes in them
        try:
            return normalised(self._decode(line))
        except msgspec.ValidationError as err:
            if str(err) != _WITHOUT_TYPE:
                raise
        rest = line.lstrip()[1:]
        is_empty = rest.lstrip().startswith(b"}")
        return normalised(self._decode((self._opening[:-1] if is_empty else self._opening) + rest))

    def _decode_renamed(self, lines: Sequence[bytes], bury: Bury) -> list[Entry]:
        if _is_utf8(lines):
            try:
                return self.decode_rows(list(map(self._row_of_line, lines)), bury)
            except (ValueError, RecursionError):
                pass  # one line or more is no object: those are buried one by one below
        return [
            _event_or_letter(self._event_of_renamed, i, bury, line) for i, line in enumerate(lines)
        ]

    def _event_of_renamed(self, line: bytes) -> Event:
        line.decode()
        return _event_of_row(self._row_of_line(line))

    def _row_of_line(self, line: bytes) -> Row:
        row = self._decode_object(line)
        renamed = {field: value for field, value in row.items() if field not in self._columns}
        for field, column in self._columns.items():
            if column in row:
                renamed[field] = row[column]
        renamed.setdefault("type", self._default_type)
        return renamed


def event_fields(kind: str | None = None) -> tuple[str, ...]:
    """Every field an event of this type may have, `type` first; of any type without one.

    Examples
    --------
    >>> event_fields("forget")
    ('type', 'user', 'ts')
    """
    kinds = [EVENT_TYPES[kind]] if kind else EVENT_TYPES.values()
    return ("type", *dict.fromkeys(field.name for k in kinds for field in _FIELDS[k]))


def required_fields(kind: str) -> tuple[str, ...]:
    """The fields an event of this type must have, beside its type.

    Examples
    --------
    >>> required_fields("click")
    ('user', 'item', 'ts')
    """
    return tuple(field.name for field in _FIELDS[EVENT_TYPES[kind]] if field.required)


def dead_letter(origin: str, reason: str, raw: bytes | Mapping[str, Any]) -> DeadLetter:
    """A dead letter of bounded size: `raw` is cut to 4 KiB; a row is kept as JSON."""
    raw_bytes = raw if isinstance(raw, bytes) else msgspec.json.encode(raw, enc_hook=str)
    return DeadLetter(origin, reason[:_MAX_REASON_CHARS], raw_bytes[:MAX_RAW_BYTES])


def _is_utf8(lines: Sequence[bytes]) -> bool:
    block = b"\n".join(lines)
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _normal_or_buried(events: list[Event], bury: Bury) -> list[Entry]:
    if _are_normal_clicks(events):
        return cast("list[Entry]", events)
    return [_event_or_letter(normalised, i, bury, event) for i, event in enumerate(events)]


def _are_normal_clicks(events: Sequence[Event]) -> bool:
    """Whether nothing is left to normalise: clicks with string ids and integer times."""
    if {type(event) for event in events} != {Click}:
        return False
    clicks = cast("Sequence[Click]", events)
    required = {type(click.user) for click in clicks} | {type(click.item) for click in clicks}
    optional = {type(c.request_id) for c in clicks} | {type(c.session) for c in clicks}
    return (
        required == {str} and int not in optional and {type(click.ts) for click in clicks} == {int}
    )


def _event_or_letter(event_of: Callable[[T], Event], index: int, bury: Bury, record: T) -> Entry:
    try:
        return event_of(record)
    except (ValueError, RecursionError) as err:
        return bury(index, str(err))


def _event_of_row(row: Row) -> Event:
    return normalised(msgspec.convert(row, Event))


def normalised(event: Event) -> Event:
    """The same event, ids made strings and `ts` an int, after the checks that types cannot state.

    Raises
    ------
    ValueError
        If a value is out of its range; the message says which.
    """
    event.ts = ts_ms(event.ts)
    for field in _ID_FIELDS[type(event)]:
        value = getattr(event, field)
        if type(value) is int:
            setattr(event, field, _id_text(value, field))
    if isinstance(event, Impression):
        event.items = [
            item if isinstance(item, str) else _id_text(item, f"items[{i}]")
            for i, item in enumerate(event.items)
        ]
        _check_impression(event)
    elif isinstance(event, Conversion | Feedback):
        if event.value is not None and not math.isfinite(event.value):
            raise ValueError(f"Expected a finite number, got {event.value} - at `$.value`")
    elif isinstance(event, Item):
        for name, vector in (event.vectors or {}).items():
            if not all(map(math.isfinite, vector)):
                raise ValueError(f"Expected finite numbers - at `$.vectors.{name}`")
    return event


def ts_ms(value: float | str) -> int:
    """Milliseconds since the epoch: of a number, a number as text, or ISO 8601 (naive is UTC).

    Raises
    ------
    ValueError
        If the text is neither, or the time lies before 1970 or past 2100.

    Examples
    --------
    >>> ts_ms("2024-01-01T01:00:00.5+01:00")
    1704067200500
    >>> ts_ms(1704067200000.7)
    1704067200000
    """
    if isinstance(value, str):
        value = _number_or_iso_ms(value.strip())
    if not math.isfinite(value):
        raise ValueError(f"Expected a finite number, got {value} - at `$.ts`")
    value = math.floor(value)
    if value < 0:
        raise ValueError("Expected `int` >= 0 - at `$.ts`")
    if value > MAX_TS_MS:
        raise ValueError(f"Expected `int` <= {MAX_TS_MS} - at `$.ts`")
    return value


def _number_or_iso_ms(text: str) -> float:
    if match := _NUMBER.fullmatch(text):
        # A float holds every integer up to 2**53, far past MAX_TS_MS.
        return float(match[0])
    try:
        time = datetime.fromisoformat(text)
    except ValueError as err:
        raise ValueError(
            f"Expected milliseconds or ISO 8601, got {text[:40]!r} - at `$.ts`"
        ) from err
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _UNIX_EPOCH) // timedelta(milliseconds=1)


def _id_text(value: int, field: str) -> str:
    # 4 bits hold a digit and more; str() itself refuses integers of thousands of digits.
    if value.bit_length() <= 4 * MAX_ID_CHARS and len(text := str(value)) <= MAX_ID_CHARS:
        return text
    raise ValueError(f"Expected an id of at most {MAX_ID_CHARS} characters - at `$.{field}`")


def _check_impression(event: Impression) -> None:
    if len(set(event.items)) < len(event.items):
        repeated = next(item for i, item in enumerate(event.items) if item in event.items[:i])
        raise ValueError(f"Expected distinct items, got {repeated!r} twice - at `$.items`")
    n_items = len(event.items)
    if event.propensities is not None:
        _check_probabilities(event.propensities, n_items, "propensities", may_be_0=False)
    targets = event.targets or {}
    if len(targets) > MAX_GIVEN_TARGETS:
        raise ValueError(
            f"Expected at most {MAX_GIVEN_TARGETS} policies, got {len(targets)} - at `$.targets`"
        )
    for name, probabilities in targets.items():
        _check_probabilities(probabilities, n_items, f"targets.{name}", may_be_0=True)


def _check_probabilities(
    probabilities: list[float], n_items: int, field: str, may_be_0: bool
) -> None:
    if len(probabilities) != n_items:
        raise ValueError(
            f"Expected `array` of length {n_items}, one for each item, "
            f"got {len(probabilities)} - at `$.{field}`"
        )
    for i, probability in enumerate(probabilities):
        if not (0 < probability <= 1 or (may_be_0 and probability == 0)):  # false for nan as well
            raise ValueError(
                f"Expected a probability in {'[' if may_be_0 else '('}0, 1], "
                f"got {probability} - at `$.{field}[{i}]`"
            )


def far_future(ts_N: Int64s, watermark_ms: int, max_ahead_ms: int) -> Bools:
    """Which events of a batch lie so far ahead that a clock must be wrong.

    Parameters
    ----------
    ts_N : int64 array, shape (N,)
        The times of the batch's events, in any order.
    watermark_ms : int
        The largest event time accepted before the batch.
    max_ahead_ms : int
        How far an event may be ahead of the watermark and of the batch's median.

    Examples
    --------
    >>> far_future(np.array([10, 11, 9_000]), watermark_ms=0, max_ahead_ms=100).tolist()
    [False, False, True]
    """
    if not len(ts_N):
        return np.zeros(0, np.bool_)
    return ts_N > max(watermark_ms, median(ts_N)) + max_ahead_ms


def median(ts_N: Int64s) -> int:
    """The lower median: of two times, that of one broken clock is not its own witness.

    Examples
    --------
    >>> median(np.array([9_000, 5])), median(np.array([9_000, 5, 7]))
    (5, 7)
    """
    middle = (len(ts_N) - 1) // 2
    return int(np.partition(ts_N, middle)[middle])
