import threading

from stream.live.rounds import Rounds


def test_every_step_is_taken_in_turn_until_the_end():
    taken, enough = [], threading.Event()

    def second():
        taken.append("second")
        if len(taken) >= 6:
            enough.set()

    rounds = Rounds(0.001, [lambda: taken.append("first"), second])
    assert not rounds.is_alive
    rounds.start()
    assert enough.wait(5)
    assert rounds.is_alive
    rounds.close()
    assert not rounds.is_alive
    assert taken[:6] == ["first", "second"] * 3
    assert len(taken) % 2 == 0


def test_a_step_that_raises_ends_the_rounds_and_is_told():
    told = []

    def broken():
        raise ValueError("no such thing")

    hook_before, threading.excepthook = threading.excepthook, told.append
    try:
        rounds = Rounds(0.001, [broken])
        rounds.start()
        rounds._thread.join(5)
    finally:
        threading.excepthook = hook_before
    assert not rounds.is_alive
    assert [str(args.exc_value) for args in told] == ["no such thing"]


def test_rounds_that_never_began_can_be_closed():
    rounds = Rounds(1.0, [])
    rounds.close()
    assert not rounds.is_alive


def test_a_step_that_hangs_does_not_hold_up_the_end():
    hangs, may_go = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        may_go.wait(10)

    rounds = Rounds(0.001, [hang])
    rounds.start()
    assert hangs.wait(5)
    rounds.close(wait_s=0.01)
    assert rounds.is_alive
    may_go.set()
    rounds.close()
    assert not rounds.is_alive
