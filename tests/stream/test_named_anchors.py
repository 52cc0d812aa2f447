from stream.checkpoint import CheckpointConfig, Spared
from stream.named_anchors import NamedAnchors
from tests.conformance.stateful_contract import StatefulContract


def named_of(**changes: int) -> NamedAnchors:
    return NamedAnchors(CheckpointConfig(**changes))


def drive(named: NamedAnchors, step: int) -> tuple[Spared, ...]:
    named.need({f"anchor-{step // 2}": step, None: 0}, step + 3, 1_000 * step)
    return named.spared(1_000 * step + 1)


class TestNamedAnchors(StatefulContract):
    make = staticmethod(lambda: named_of(keep_named=2, keep_named_for=3_000))
    drive = staticmethod(drive)


def test_the_latest_that_were_needed_stay_and_no_more_than_may():
    named = named_of(keep_named=2)
    for number in (1, 2, 1, 3):
        named.need({f"a{number}": number}, last_seq=10 * number, now_ms=0)
    assert named.spared(0) == (Spared("a1", range(1, 11)), Spared("a3", range(3, 31)))


def test_what_was_needed_long_ago_stays_no_longer():
    named = named_of(keep_named_for=60_000)
    named.need({"old": 1, "again": 2}, last_seq=5, now_ms=0)
    named.need({"again": 2}, last_seq=9, now_ms=30_000)
    assert [one.anchor for one in named.spared(59_999)] == ["old", "again"]
    assert named.spared(60_000) == (Spared("again", range(2, 10)),)
    assert named.spared(90_000) == ()


def test_nothing_stays_where_none_may():
    named = named_of(keep_named=0)
    named.need({"a": 1}, last_seq=2, now_ms=0)
    assert named.spared(0) == ()


def test_of_the_beginning_the_batches_stay():
    named = named_of()
    named.need({None: 0}, last_seq=7, now_ms=0)
    assert named.spared(0) == (Spared(None, range(8)),)
