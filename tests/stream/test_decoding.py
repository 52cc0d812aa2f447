import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decoding import (
    EVENT_TYPES,
    MAX_RAW_BYTES,
    EventDecoder,
    dead_letter,
    event_fields,
    far_future,
    ts_ms,
)
from stream.events import (
    MAX_TS_MS,
    Click,
    Conversion,
    Event,
    Feedback,
    Forget,
    Impression,
    Item,
    User,
)
from stream.values import DeadLetter

IDS = st.text(min_size=1, max_size=8) | st.integers()
TIMES = st.integers(0, MAX_TS_MS)
EVENTS = st.one_of(
    st.builds(Click, IDS, IDS, TIMES, st.none() | IDS, st.none() | IDS),
    st.builds(Impression, IDS, IDS, st.lists(IDS, min_size=1, max_size=5, unique_by=str), TIMES),
    st.builds(Conversion, IDS, IDS, TIMES, st.none() | st.floats(-1e9, 1e9)),
    st.builds(Feedback, IDS, IDS, TIMES, st.sampled_from(["like", "hide"])),
    st.builds(Item, IDS, TIMES, st.none() | st.text(), vectors=st.none()),
    st.builds(User, IDS, TIMES, st.none() | st.text()),
    st.builds(Forget, IDS, TIMES),
)


def as_strings(event: Event) -> Event:
    """The event with its ids as strings: what decoding should make of it."""
    fields = msgspec.structs.asdict(event)
    for name in ("user", "item", "request_id", "session"):
        if fields.get(name) is not None:
            fields[name] = str(fields[name])
    if "items" in fields:
        fields["items"] = [str(item) for item in fields["items"]]
    return type(event)(**fields)


def decoded(lines, **options):
    def bury(i, reason):
        return dead_letter(f"f:{i + 1}", reason, lines[i])

    return EventDecoder(**options).decode_lines(lines, bury)


def line(**fields):
    return msgspec.json.encode({"type": "click", "user": "u", "item": "i", "ts": 1} | fields)


def impression(**fields):
    return line(type="impression", request_id="r", items=["a", "b"], **fields)


def unnamed(i, reason):
    return DeadLetter("", reason, b"")


def reason_of(raw, **options):
    (letter,) = decoded([raw], **options)
    assert isinstance(letter, DeadLetter)
    return letter.reason


@given(st.lists(EVENTS, max_size=20))
def test_what_was_encoded_is_decoded_with_ids_as_strings(events):
    lines = [msgspec.json.encode(event) for event in events]
    assert decoded(lines) == [as_strings(event) for event in events]


@given(st.lists(EVENTS | st.just(b"{broken") | st.just(b"[]"), max_size=12))
def test_a_line_is_decoded_alike_whatever_stands_beside_it(records):
    lines = [r if isinstance(r, bytes) else msgspec.json.encode(r) for r in records]
    alone = [decoded([raw])[0] for raw in lines]
    together = decoded(lines)
    assert len(together) == len(alone)
    for one, other in zip(alone, together, strict=True):
        assert type(one) is type(other)
        assert one == other or one.reason == other.reason


@given(st.lists(st.builds(Click, IDS, IDS, TIMES) | st.builds(User, IDS, TIMES), max_size=12))
def test_lines_without_a_type_have_the_default_among_lines_that_name_theirs(events):
    lines = []
    for event in events:
        fields = msgspec.to_builtins(event)
        if isinstance(event, Click):
            del fields["type"]
        lines.append(msgspec.json.encode(fields))
    assert decoded(lines) == [as_strings(event) for event in events]


def test_the_default_type_is_a_choice():
    assert decoded([b'{"item": 5, "ts": 7}'], default_type="item") == [Item("5", 7)]


def test_an_empty_object_lacks_the_fields_of_the_default_type():
    assert reason_of(b" { }") == "Object missing required field `user`"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (line(user=""), "Expected `str` of length >= 1 - at `$.user`"),
        (line(item=None), "Expected `int | str`, got `null` - at `$.item`"),
        (line(type="view"), "Invalid value 'view' - at `$.type`"),
        (line(ts=-1), "Expected `int` >= 0 - at `$.ts`"),
        (line(ts=-0.5), "Expected `int` >= 0 - at `$.ts`"),
        (line(ts=1e300), f"Expected `int` <= {MAX_TS_MS} - at `$.ts`"),
        (line(ts="1969-12-31T23:59:59Z"), "Expected `int` >= 0 - at `$.ts`"),
        (line(ts="soon"), "Expected milliseconds or ISO 8601, got 'soon' - at `$.ts`"),
        (line(ts="9" * 400), "Expected a finite number, got inf - at `$.ts`"),
        (line(ts=1)[:-1], "Input data was truncated"),
        (b'"text"', "Expected `object`, got `str`"),
        (line(user="x" * 2000), "Expected `str` of length <= 1024 - at `$.user`"),
        (line(user=0).replace(b"0", b"7" * 1025), "Expected an id of at most 1024 characters"),
        (line(user=0).replace(b"0", b"7" * 9000), "Integer value out of range - at `$.user`"),
        (line(x=0).replace(b"0", b"NaN"), "JSON is malformed"),
        (line() + line(), "JSON is malformed: trailing characters"),
        (impression(propensities=[0.5]), "Expected `array` of length 2, one for each item, got 1"),
        (impression(propensities=[0.5, 0]), "Expected a probability in (0, 1], got 0.0 - at "),
        (impression(propensities=[1.1, 1]), "Expected a probability in (0, 1], got 1.1 - at "),
        (
            impression(targets={"new": [0.5]}),
            "Expected `array` of length 2, one for each item, got 1",
        ),
        (
            impression(targets={"new": [0.5, -0.1]}),
            "Expected a probability in [0, 1], got -0.1 - at ",
        ),
        (
            impression(targets={"new": [2, 0]}),
            "Expected a probability in [0, 1], got 2.0 - at `$.targ",
        ),
        (
            impression(targets={str(n): [0, 0] for n in range(9)}),
            "Expected at most 8 policies, got 9",
        ),
        (impression().replace(b'"b"', b'"a"'), "Expected distinct items, got 'a' twice"),
        (impression().replace(b'"a","b"', b'1,"1"'), "Expected distinct items, got '1' twice"),
        (line(context=0).replace(b"0", b"[" * 9999 + b"]" * 9999), "Expected `object | null`"),
    ],
)
def test_a_line_that_cannot_be_used_is_buried_with_its_reason(raw, reason):
    assert reason_of(raw).startswith(reason)


def test_an_array_nested_without_end_is_buried():
    deep = b"[" * 9999 + b"]" * 9999
    assert "recursion" in reason_of(line(context={"a": 0}).replace(b"0", deep))


@pytest.mark.parametrize("place", [b'"u"', b'"unknown"'])
def test_bytes_that_are_no_utf8_are_buried_even_in_an_unknown_field(place):
    raw = line(unknown="unknown").replace(place, b'"\xff\xfe"')
    assert "'utf-8' codec can't decode byte 0xff" in reason_of(raw)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"type": "conversion", "user": "u", "item": "i", "ts": 1}, "value"),
        ({"type": "feedback", "user": "u", "item": "i", "ts": 1, "kind": "rating"}, "value"),
        ({"type": "click", "user": "u", "item": "i"}, "ts"),
    ],
)
def test_a_row_with_a_number_that_is_not_finite_is_buried(fields, path, value):
    row = fields | {path: value}
    (letter,) = EventDecoder().decode_rows([row], unnamed)
    assert letter.reason == f"Expected a finite number, got {value} - at `$.{path}`"


def test_a_vector_with_a_number_that_is_not_finite_is_buried():
    row = {"type": "item", "item": "i", "ts": 1, "vectors": {"image": [1.0, math.nan]}}
    (letter,) = EventDecoder().decode_rows([row], unnamed)
    assert letter.reason == "Expected finite numbers - at `$.vectors.image`"


def test_a_dead_letter_keeps_four_kibibytes_of_what_came():
    raw = line(type="x" * 10_000)
    (letter,) = decoded([raw])
    assert letter.origin == "f:1"
    assert letter.raw == raw[:MAX_RAW_BYTES]
    assert len(letter.reason) == 500


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        (0, 0),
        (1.9, 1),
        ("12", 12),
        ("12.7", 12),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01 00:00:01.0015Z", 1001),
        ("1970-01-01T02:00:00+01:00", 3_600_000),
    ],
)
def test_times_become_milliseconds(value, expected_ms):
    assert ts_ms(value) == expected_ms


@given(st.datetimes().filter(lambda time: 1970 <= time.year < 2100))
def test_an_iso_time_without_a_zone_is_utc(time):
    assert ts_ms(time.isoformat()) == ts_ms(time.isoformat() + "Z")


def test_renamed_fields_take_the_place_of_their_own_names():
    raw = msgspec.json.encode({"visitor": 7, "user": "other", "itemid": "i", "when": 5})
    columns = {"user": "visitor", "item": "itemid", "ts": "when"}
    assert decoded([raw], columns=columns) == [Click("7", "i", 5)]


def test_fields_can_change_places():
    columns = {"user": "item", "item": "user"}
    assert decoded([line(user="a", item="b")], columns=columns) == [Click("b", "a", 1)]


def test_a_renamed_field_that_is_absent_is_missing():
    columns = {"user": "visitor"}
    lines = [line(visitor="v"), line(), b"[1]", line(visitor="\u00e9").replace(b"\xc3", b"\xff")]
    good, *bad = decoded(lines, columns=columns)
    assert good.user == "v"
    assert [letter.reason[:36] for letter in bad] == [
        "Object missing required field `user`",
        "Expected `object`, got `array`",
        "'utf-8' codec can't decode byte 0xff",
    ]


def test_every_field_of_every_event_is_known_by_name():
    assert set(EVENT_TYPES) == {
        "click", "impression", "conversion", "feedback", "item", "user", "forget",
    }  # fmt: skip
    assert {"type", "user", "items", "vectors", "kind", "currency"} <= set(event_fields())


@pytest.mark.parametrize(
    ("times", "watermark_ms", "expected"),
    [
        ([], 0, []),
        ([5, 9_000], 0, [False, True]),
        ([9_000], 0, [False]),
        ([9_000, 9_001], 10, [False, False]),
        ([20, 9_001], 10, [False, True]),
        ([9_000, 9_001, 5], 10, [False, False, False]),
        ([110, 111], 10, [False, False]),
        ([10, 10, 111], 10, [False, False, True]),
    ],
)
def test_a_time_far_beyond_the_watermark_and_its_batch_is_not_believed(
    times, watermark_ms, expected
):
    ts_N = np.array(times, np.int64)
    assert far_future(ts_N, watermark_ms, max_ahead_ms=100).tolist() == expected
