import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.delivery.delivery_queue import Bounds, DeliveryQueue
from stream.delivery.transitions import Wanted
from stream.errors import SinkError
from tests.transitions import transition

ALL = Wanted(("firing", "resolved"), ("page", "warning", "info"))


OPENED = []


@pytest.fixture(autouse=True)
def _let_go():
    yield
    while OPENED:
        let_go(OPENED.pop())


def queue_in(folder, wants=ALL, run_id="r1", **bounds):
    queue = DeliveryQueue(Path(folder) / "pager.queue", run_id, wants, Bounds(**bounds))
    OPENED.append(queue)
    return queue


def let_go(queue):
    """As the system does with a killed process: nothing is written."""
    queue._file.close()


def put(queue, rule, state, seq, **changes):
    told = transition(rule, state, seq, told_ms=seq, **changes)
    return queue.put(told, seq, told.record["name"])


def drained(queue):
    """What waits, in order; accepted one by one."""
    told = []
    while (waiting := queue.first()) is not None:
        number, found = waiting
        told.append((found.record["rule"], found.state, found.record["seq"]))
        queue.accepted(number, at_ms=0)
    return told


def test_transitions_come_out_in_the_order_they_were_put(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1)
    put(queue, "drop", "firing", 1)
    put(queue, "low", "resolved", 2)
    assert drained(queue) == [("low", "firing", 1), ("drop", "firing", 1), ("low", "resolved", 2)]


def test_what_waits_is_there_after_a_kill_and_what_was_accepted_is_not(tmp_path):
    queue = queue_in(tmp_path)
    for seq, state in enumerate(["firing", "resolved", "firing"]):
        put(queue, "low", state, seq)
    queue.accepted(queue.first()[0], at_ms=9)
    assert drained(queue_in(tmp_path)) == [("low", "resolved", 1), ("low", "firing", 2)]


def test_a_notice_that_is_put_again_changes_nothing(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1)
    put(queue, "low", "resolved", 5)
    drained(queue)
    again = queue_in(tmp_path)
    repeated = [put(again, "low", "firing", 1), put(again, "low", "resolved", 5)]
    assert repeated == [False, False]
    assert drained(again) == []


def test_a_second_notice_of_the_last_batch_is_taken_though_the_first_was_there(tmp_path):
    put(queue_in(tmp_path), "low", "firing", 5)
    again = queue_in(tmp_path)
    assert [put(again, "low", "firing", 5), put(again, "drop", "firing", 5)] == [False, True]


def test_half_a_line_at_the_end_is_passed_by_without_a_word(tmp_path, caplog):
    put(queue_in(tmp_path), "low", "firing", 1)
    path = tmp_path / "pager.queue"
    path.write_bytes(path.read_bytes() + b'0badc0de {"type":"put"')
    assert drained(queue_in(tmp_path)) == [("low", "firing", 1)]
    assert not caplog.records


def test_a_damaged_line_is_named_kept_and_passed_by(tmp_path, caplog):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1)
    put(queue, "drop", "firing", 2)
    path = tmp_path / "pager.queue"
    path.write_bytes(path.read_bytes().replace(b"alert:low:firing", b"alert:loq:firing"))
    assert drained(queue_in(tmp_path)) == [("drop", "firing", 2)]
    assert "1 lines are damaged" in caplog.text
    assert (tmp_path / "pager.damaged.queue").exists()


def test_the_queue_of_another_run_is_refused(tmp_path):
    put(queue_in(tmp_path), "low", "firing", 1)
    with pytest.raises(SinkError, match=r"run r1 had to deliver, and this is run r2"):
        queue_in(tmp_path, run_id="r2")


def test_a_muted_alert_is_not_told_and_neither_is_its_end(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1, muted_by="upstream")
    put(queue, "low", "resolved", 2)
    assert drained(queue) == []


def test_an_alert_that_was_told_is_told_to_be_over_though_it_is_muted_by_then(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1)
    drained(queue)
    put(queue_in(tmp_path), "low", "resolved", 2, muted_by="night")
    assert drained(queue_in(tmp_path)) == [("low", "resolved", 2)]


def test_the_end_of_an_alert_knows_when_it_began_and_by_what_labels(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1, severity="page")
    drained(queue)
    put(queue, "low", "resolved", 7, severity="warning")
    _, told = queue.first()
    assert (told.since_ms, told.told_ms, told.labels["severity"]) == (1, 7, "page")


def test_alerts_that_fire_stand_and_those_that_ended_for_a_while(tmp_path):
    queue = queue_in(tmp_path, kept_after_end_ms=1_000)
    for rule, state, seq in (("a", "firing", 1), ("b", "firing", 1), ("b", "resolved", 2)):
        put(queue, rule, state, seq)
    while (waiting := queue.first()) is not None:
        queue.accepted(waiting[0], at_ms=500)
    queue = queue_in(tmp_path, kept_after_end_ms=1_000)
    standing = [
        [(told.record["rule"], told.state) for told in queue.standing(now_ms)]
        for now_ms in (1_499, 1_500)
    ]
    assert standing == [[("a", "firing"), ("b", "resolved")], [("a", "firing")]]


def test_what_was_given_up_does_not_stand(tmp_path):
    queue = queue_in(tmp_path)
    put(queue, "low", "firing", 1)
    queue.given_up(queue.first()[0])
    assert queue.standing(0) == []
    assert not put(queue, "low", "resolved", 2)


def entry_bytes(folder):
    """What a transition takes."""
    queue = queue_in(folder)
    before = (folder / "pager.queue").stat().st_size
    put(queue, "aa", "resolved", 10)  # not wanted
    put(queue, "aa", "firing", 11)
    return (folder / "pager.queue").stat().st_size - before


def test_a_full_queue_drops_alerts_that_came_and_went_the_oldest_first(tmp_path):
    n_bytes = entry_bytes(tmp_path / "one")
    queue = queue_in(tmp_path, queue_bytes=5 * n_bytes + n_bytes // 2)
    for rule, state, seq in [
        ("xx", "firing", 10),  # the first, it may be on its way
        ("aa", "firing", 11),  # still fires
        ("bb", "firing", 12),
        ("bb", "resolved", 13),
        ("cc", "firing", 14),
        ("dd", "firing", 15),  # no room for this one
    ]:
        put(queue, rule, state, seq)
    assert queue.n_dropped == 2
    assert [rule for rule, _, _ in drained(queue)] == ["xx", "aa", "cc", "dd"]


def test_what_is_left_of_a_full_queue_adds_up(tmp_path):
    n_bytes = entry_bytes(tmp_path / "one")
    queue = queue_in(tmp_path, queue_bytes=6 * n_bytes)
    fires = {"aa": False, "bb": False}
    for seq in range(10, 50):
        rule = "aa" if seq % 3 else "bb"
        fires[rule] = not fires[rule]
        put(queue, rule, "firing" if fires[rule] else "resolved", seq)
    left = drained(queue)
    for rule in ("aa", "bb"):
        states = [state for name, state, _ in left if name == rule]
        assert states, rule
        assert all(one != following for one, following in pairwise(states))
        assert states[-1] == ("firing" if fires[rule] else "resolved")


def test_alerts_that_all_still_fire_are_dropped_only_when_there_is_nothing_else(tmp_path):
    n_bytes = entry_bytes(tmp_path / "one")
    queue = queue_in(tmp_path, queue_bytes=3 * n_bytes + n_bytes // 2)
    for seq, rule in enumerate(["aa", "bb", "cc", "dd"], 10):
        put(queue, rule, "firing", seq)
    assert [rule for rule, _, _ in drained(queue)] == ["aa", "cc", "dd"]


def test_the_drops_are_counted_over_restarts(tmp_path):
    n_bytes = entry_bytes(tmp_path / "one")
    queue = queue_in(tmp_path, queue_bytes=2 * n_bytes + n_bytes // 2)
    for seq, rule in enumerate(["aa", "bb", "cc"], 10):
        put(queue, rule, "firing", seq)
    again = queue_in(tmp_path)
    assert (queue.n_dropped, again.n_dropped, len(again)) == (1, 1, 2)


def test_the_file_does_not_grow_with_what_was_delivered(tmp_path):
    queue = queue_in(tmp_path)
    for seq in range(2_000):
        put(queue, "low", "resolved" if seq % 2 else "firing", seq)
        drained(queue)
    assert (tmp_path / "pager.queue").stat().st_size < 200_000


def test_a_full_disk_is_told_with_the_path(tmp_path):
    queue = queue_in(tmp_path)
    queue._file._file.close()  # as a disk that is gone: nothing can be written any more
    queue._file._file = (tmp_path / "pager.queue").open("rb", buffering=0)
    with pytest.raises(SinkError, match=r"pager\.queue cannot be written"):
        put(queue, "low", "firing", 1)
    queue._file._file.close()


STEPS = st.lists(st.sampled_from(["put", "accept", "crash", "repeat"]), max_size=40)


@settings(max_examples=40)
@given(steps=STEPS)
def test_however_often_it_crashed_all_is_told_once_in_order(steps):
    """The loop goes back to a checkpoint after each crash, and puts what came after it again."""
    with tempfile.TemporaryDirectory() as folder:
        queue = queue_in(folder)
        told, seq, n_put = [], 0, 0

        def accept():
            if (waiting := queue.first()) is not None:
                told.append(waiting[1].record["seq"])
                queue.accepted(waiting[0], at_ms=0)

        def put_next():
            put(queue, "low", "resolved" if seq % 2 else "firing", seq)

        for step in steps:
            if step == "put":
                put_next()
                seq += 1
                n_put = max(n_put, seq)
            elif step == "accept":
                accept()
            else:
                let_go(queue)
                queue = queue_in(folder)
                seq = seq // 2 if step == "repeat" else 0
        while seq < n_put:
            put_next()
            seq += 1
        while len(queue):
            accept()
        let_go(queue)
        assert told == list(range(n_put))
