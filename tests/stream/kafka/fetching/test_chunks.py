import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.fetching.chunks import ChunkDecoder
from stream.kafka.settings import TopicConfig
from stream.values import DeadLetter

GOOD = {"user": "u", "item": "a", "ts": 1}


def decoded(values, max_record_bytes=1000, **topic):
    decoder = ChunkDecoder(TopicConfig(name="clicks", **topic), max_record_bytes)
    return decoder.decode(3, list(range(10, 10 + len(values))), values)


@given(st.lists(st.sampled_from([msgspec.json.encode(GOOD), None, b"{", b"x" * 1001]), max_size=9))
def test_every_value_is_an_event_or_a_dead_letter_at_its_own_place(values):
    for n, (value, entry) in enumerate(zip(values, decoded(values), strict=True)):
        if value is not None and value.startswith(b'{"'):
            assert entry.item == "a"
        else:
            assert (entry.origin, entry.raw) == (f"clicks[3]@{10 + n}", value or b"")


def test_a_reason_is_cut_and_the_bytes_are_not():
    [letter] = decoded([b'{"type": "%s"}' % (b"t" * 900)])
    assert (len(letter.reason), len(letter.raw)) == (500, 912)


def test_msgpack_is_read_under_the_names_of_its_keys():
    row = {"visitor": 7, "item": "a", "ts": 1, "user": "somebody else"}
    values = [msgspec.msgpack.encode(row), b"\xc1", msgspec.msgpack.encode([1])]
    event, *letters = decoded(values, format="msgpack", map={"user": "visitor"})
    assert (event.user, event.item) == ("7", "a")
    assert [letter.origin for letter in letters] == ["clicks[3]@11", "clicks[3]@12"]


def test_json_may_be_spread_over_lines():
    [event] = decoded([msgspec.json.format(msgspec.json.encode(GOOD), indent=2)])
    assert not isinstance(event, DeadLetter)
    assert event.item == "a"
