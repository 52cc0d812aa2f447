import msgspec
import pytest

from stream.events import (
    FEEDBACK_KINDS,
    MAX_ID_CHARS,
    MAX_LIST_ITEMS,
    MAX_TS_MS,
    Click,
    Event,
    Feedback,
    Impression,
)

decode = msgspec.json.Decoder(Event).decode


def encoded(**fields):
    return msgspec.json.encode({"type": "click", "user": "u", "item": "i", "ts": 1} | fields)


def shown(items):
    return encoded(type="impression", request_id="r", items=items)


def test_the_type_decides_which_event_it_is():
    assert decode(encoded()) == Click("u", "i", 1)
    assert decode(shown(["a", 2])) == Impression("r", "u", ["a", 2], 1)


def test_unknown_fields_are_ignored():
    assert decode(encoded(colour="red")) == Click("u", "i", 1)


def test_limits_themselves_are_allowed():
    assert decode(encoded(user="u" * MAX_ID_CHARS, ts=MAX_TS_MS)).ts == MAX_TS_MS
    assert len(decode(shown(list(range(MAX_LIST_ITEMS)))).items) == MAX_LIST_ITEMS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (encoded(user=""), "Expected `str` of length >= 1 - at `$.user`"),
        (encoded(user="u" * (MAX_ID_CHARS + 1)), "Expected `str` of length <= 1024 - at `$.user`"),
        (encoded(item=1.5), "Expected `int | str`, got `float` - at `$.item`"),
        (encoded(item=True), "Expected `int | str`, got `bool` - at `$.item`"),
        (encoded(ts=-1), "Expected `int` >= 0 - at `$.ts`"),
        (encoded(ts=MAX_TS_MS + 1), f"Expected `int` <= {MAX_TS_MS} - at `$.ts`"),
        (encoded(ts=None), "Expected `int | float | str`, got `null` - at `$.ts`"),
        (encoded(type="view"), "Invalid value 'view' - at `$.type`"),
        (encoded(type="feedback"), "Object missing required field `kind`"),
        (encoded(type="feedback", kind="love"), "Invalid enum value 'love' - at `$.kind`"),
        (shown([]), "Expected `array` of length >= 1 - at `$.items`"),
        (shown([1] * 1001), "Expected `array` of length <= 1000 - at `$.items`"),
        (shown(["a", ""]), "Expected `str` of length >= 1 - at `$.items[1]`"),
        (shown("a"), "Expected `array`, got `str` - at `$.items`"),
    ],
)
def test_a_bad_field_is_refused_by_name(line, reason):
    with pytest.raises(msgspec.ValidationError) as refused:
        decode(line)
    assert str(refused.value) == reason


@pytest.mark.parametrize("kind", FEEDBACK_KINDS)
def test_feedback_says_of_which_kind_it_is(kind):
    assert decode(encoded(type="feedback", kind=kind)) == Feedback("u", "i", 1, kind)
