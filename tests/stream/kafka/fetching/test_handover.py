import threading
import time

from stream.kafka.fetching.chunks import nothing
from stream.kafka.fetching.handover import Handover, Mark, View
from tests.stream.kafka.made import chunk


def test_chunks_come_in_order_with_what_is_known_after_them():
    handover = Handover()
    first, second = chunk(0, 3), chunk(3, 5)
    handover.deliver([("clicks/0", first)], View(marks={"clicks/0": Mark("a", 3, 9)}))
    handover.deliver([("clicks/0", second)], View(marks={"clicks/0": Mark("a", 5, 9)}))
    chunks, view = handover.take(0)
    assert chunks == [("clicks/0", first), ("clicks/0", second)]
    assert view.marks["clicks/0"].delivered == 5
    assert handover.take(0) == ([], view)


def test_what_waits_is_counted_until_it_is_used_up():
    handover = Handover()
    made = chunk(0, 3)
    handover.deliver([("clicks/0", made)], View())
    assert handover.waiting("clicks/0") == (3, made.n_bytes)
    handover.take(0)
    assert handover.waiting("clicks/0") == (3, made.n_bytes)
    handover.used_up("clicks/0", 3, made.n_bytes)
    assert handover.waiting("clicks/0") == handover.waiting("clicks/1") == (0, 0)


def test_who_waits_is_woken_by_a_chunk_and_by_a_mark():
    for news in ([("clicks/0", nothing("a", 0, 1, 0.0))], View(marks={"x/0": Mark("a", 0, 0)})):
        handover = Handover()
        args = (news, View()) if isinstance(news, list) else ([], news)
        threading.Timer(0.05, handover.deliver, args).start()
        began_s = time.monotonic()
        handover.take(5.0)
        assert time.monotonic() - began_s < 2


def test_a_partition_has_more_while_nobody_knows_its_end():
    marks = [Mark("a", 5, None), Mark("a", 5, 6), Mark("a", 5, 5), Mark("a", 5, 6, is_missing=True)]
    assert [mark.has_more for mark in marks] == [True, True, False, False]
