from stream.stage_clock import StageClock


def clock_of(*seconds):
    left = iter(seconds)
    return StageClock(lambda: next(left))


def test_the_time_of_a_stage_that_comes_again_is_summed_up():
    stages = clock_of(0.0, 1.0, 3.0, 3.5)
    for stage in ("read", "learn", "read"):
        stages.lap(stage)
    assert stages.seconds == {"read": 1.5, "learn": 2.0}


def test_what_passed_before_a_start_belongs_to_nobody():
    stages = clock_of(0.0, 1.0, 50.0, 52.0)
    stages.lap("read")
    stages.start()
    stages.lap("read")
    assert stages.seconds == {"read": 3.0}
