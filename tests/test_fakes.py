import pytest

from stream.events import Click, User
from stream.values import DeadLetter
from tests.conformance.source_contract import SourceContract, as_plain
from tests.fakes import CRASH, CrashError, ListSource

EVENTS = [
    Click("u", "a", 5),
    Click("v", "b", 3, session="s"),
    User("u", 4),
    DeadLetter("list:3", "broken", b"{"),
    Click("u", "c", 9),
    User("v", 8),
    Click("w", "a", 7),
]


def list_source(folder):
    whole = list(ListSource([Click("x", "a", 6), Click("y", "b", 20)]).batches(None))
    return ListSource([*EVENTS, *whole, Click("z", "a", 10)], batch_events=3)


class TestListSource(SourceContract):
    make = staticmethod(list_source)


def test_a_crash_comes_once_and_loses_nothing():
    source = ListSource([*EVENTS[:4], CRASH, *EVENTS[4:]], batch_events=2)
    seen = []
    with pytest.raises(CrashError, match="at 4"):
        seen.extend(as_plain(batch) for batch in source.batches(None))
    last = seen[-1]
    rest = source.batches(last["end"], last["seq"] + 1, last["watermark_ms"])
    n_records = [batch["n_records"] for batch in seen]
    assert n_records + [batch.n_records for batch in rest] == [2, 2, 2, 1]
