import logging
import threading

from stream.live.rounds import Rounds
from stream.live.settings import WatchConfig
from stream.live.stuck import Heartbeat


class Scene:
    """A heart, and a clock that stands until it is moved."""

    def __init__(self, thread=None):
        self.now_s = 7.0
        self.incidents = []
        config = WatchConfig(stuck_after=120_000, every=1_000, rules=())
        self.heart = Heartbeat(config, self.incidents.append, lambda: self.now_s, thread)

    def pass_by(self, seconds):
        """Let time pass, looked at every second."""
        for _ in range(seconds):
            self.now_s += 1.0
            self.heart.step()

    def told(self):
        return [(one.kind, one.text, one.is_resolved) for one in self.incidents]


def test_a_loop_that_beats_is_never_stuck():
    scene = Scene()
    for _ in range(5):
        scene.pass_by(100)
        scene.heart.beat()
    assert not scene.heart.is_stuck
    assert scene.told() == []


def test_a_loop_that_does_not_beat_is_told_once_and_so_is_its_next_beat():
    scene = Scene()
    scene.heart.beat()
    scene.pass_by(119)
    assert not scene.heart.is_stuck
    scene.pass_by(200)
    assert scene.heart.is_stuck
    assert scene.told() == [
        ("stuck", "the loop has not come round for 2m; the log holds its stack", False)
    ]
    scene.heart.beat()
    assert not scene.heart.is_stuck
    scene.pass_by(2)
    assert scene.told()[1:] == [("stuck", "the loop comes round again, after 5m 19s", True)]


def test_a_loop_that_never_beat_is_stuck_as_well():
    scene = Scene()
    scene.pass_by(120)
    assert len(scene.incidents) == 1


def test_who_asks_is_told_even_if_nobody_steps():
    scene = Scene()
    scene.heart.beat()
    scene.now_s += 120
    assert scene.heart.is_stuck


def test_a_process_that_was_suspended_is_not_stuck():
    scene = Scene()
    scene.heart.beat()
    scene.pass_by(50)
    scene.now_s += 3600
    scene.pass_by(60)
    assert scene.told() == []
    assert not scene.heart.is_stuck
    scene.pass_by(20)
    assert len(scene.incidents) == 1


def test_time_that_was_excused_before_a_beat_is_not_excused_again():
    scene = Scene()
    scene.now_s += 3600
    scene.pass_by(1)
    scene.heart.beat()
    scene.pass_by(119)
    assert scene.told() == []
    scene.pass_by(1)
    assert len(scene.incidents) == 1


def test_a_beat_amid_a_suspension_does_not_buy_more_time_than_passed():
    scene = Scene()
    scene.pass_by(10)
    scene.now_s += 1000
    scene.heart.beat()
    scene.now_s += 100
    scene.pass_by(119)
    assert scene.told() == []
    scene.pass_by(2)
    assert len(scene.incidents) == 1


def test_the_log_holds_the_place_where_the_loop_hangs(caplog):
    hangs, may_go = threading.Event(), threading.Event()

    def somewhere_deep():
        hangs.set()
        may_go.wait(5)

    thread = threading.Thread(target=somewhere_deep, name="the-loop")
    scene = Scene(thread)
    thread.start()
    try:
        assert hangs.wait(5)
        with caplog.at_level(logging.ERROR, "freshrank.watch"):
            scene.pass_by(120)
    finally:
        may_go.set()
        thread.join(5)
    (record,) = caplog.records
    assert "may_go.wait(5)" in record.stack
    assert "in somewhere_deep" in record.stack
    assert scene.incidents[0].details["thread"] == "the-loop"


def test_a_thread_that_is_gone_is_stuck_without_a_stack(caplog):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join(5)
    scene = Scene(thread)
    scene.pass_by(120)
    assert caplog.records[0].stack == "the thread is gone"


def test_real_threads_and_real_clocks_find_a_loop_that_hangs():
    stuck, moves_again = threading.Event(), threading.Event()
    config = WatchConfig(stuck_after=100, every=10, rules=())
    heart = Heartbeat(config, lambda one: (moves_again if one.is_resolved else stuck).set())
    rounds = Rounds(0.01, [heart.step])
    rounds.start()
    try:
        heart.beat()
        assert stuck.wait(5)
        heart.beat()
        assert moves_again.wait(5)
    finally:
        rounds.close()
