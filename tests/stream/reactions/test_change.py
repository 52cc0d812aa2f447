from stream.notices import Moment
from stream.reactions.change import Change, record_of


def test_a_record_is_keyed_by_its_batch_and_by_what_was_done_for_whom():
    change = Change("switch", "begin", "low", "why", serves="popularity")
    assert record_of(change, Moment(7, 60_000, 500, {}, "anchor-3")) == {
        "seq": 7,
        "name": "reaction:switch:begin:low",
        "reaction": "switch",
        "action": "begin",
        "rule": "low",
        "reason": "why",
        "ts": 60_000,
        "anchor": None,
        "serves": "popularity",
    }
