import pytest

from evaluators.steps import StepJudge
from evaluators.windows import WindowSizes
from stream.values import Steps
from tests.conformance.stateful_contract import StatefulContract

SIZES = WindowSizes(events=10, time_ms=60_000, fade=0.5)


def judge_after(*steps: Steps | None) -> StepJudge:
    judge = StepJudge(SIZES)
    for number, one in enumerate(steps):
        judge.update(one, watermark_ms=number * 1_000)
    return judge


def test_a_champion_that_takes_no_steps_has_no_share():
    judge = judge_after(None, None)
    assert judge.metrics() == {}
    assert judge.reading("total") is None


def test_the_share_of_the_last_steps_forgets_the_earlier_ones():
    judge = judge_after(Steps(0, 0), Steps(8, 4), Steps(18, 5))
    assert (judge.reading("total").value, judge.reading("total").samples) == (5 / 18, 18)
    assert (judge.reading("events").value, judge.reading("events").samples) == (0.1, 10)
    assert judge.counts() == {"steps": 18, "skipped_steps": 5}
    figure = judge.metrics()["skipped_share"]
    assert figure["events"] == 0.1
    assert figure["samples"]["total"] == 18


def test_what_a_champion_learned_before_the_stream_is_not_judged():
    judge = judge_after(Steps(100, 50), Steps(104, 50))
    assert judge.counts() == {"steps": 4, "skipped_steps": 0}
    assert judge.reading("total").value == 0


def test_time_moves_on_while_no_step_is_taken():
    judge = judge_after(Steps(0, 0), Steps(4, 4))
    judge.update(Steps(4, 4), watermark_ms=100_000)
    assert judge.reading("time") is None
    assert judge.reading("total").value == pytest.approx(1.0)


class TestStepJudgeState(StatefulContract):
    make = staticmethod(lambda: StepJudge(SIZES))

    @staticmethod
    def drive(stateful: StepJudge, step: int) -> object:
        stateful.update(Steps(7 * step, 3 * step), 20_000 * step)
        return stateful.metrics()
