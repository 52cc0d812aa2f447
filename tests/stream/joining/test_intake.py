import json

import numpy as np
import pytest

from stream.values import Batch
from tests.batches import batch_of_events
from tests.stream.joining.desk import CONFIG, Desk, click, counted, shown, tick


def reasons(batch: Batch) -> list[str]:
    return [letter.reason.partition(":")[0] for letter in batch.dead_letters]


def test_a_batch_in_turn_is_passed_on_as_it_is():
    desk = Desk()
    desk.step(shown("r", 5), click("a", 6, "r"), click("b", 6))
    assert desk.batch is desk.arrived


@pytest.mark.parametrize("wait", [0, 3, 30])
def test_a_second_list_of_a_request_is_refused_while_the_first_is_known(wait):
    desk = Desk()
    desk.step(shown("r", 5))
    desk.step(tick(5 + wait))
    outcomes = desk.step(shown("r", 5 + wait))
    assert reasons(desk.batch) == ["repeated"]
    assert counted(outcomes)["repeated_requests"] == 1
    assert counted(outcomes)["impressions"] == 1


def test_of_two_lists_of_a_request_in_one_batch_the_first_is_taken():
    desk = Desk()
    desk.step(shown("r", 6, "ab"), shown("r", 5, "cd"))
    assert desk.batch.impressions.item_S == ["i2", "i3"]
    assert reasons(desk.batch) == ["repeated"]


def test_a_list_that_is_taken_keeps_what_its_request_carried():
    desk = Desk()
    lists = [shown("r", 5), shown("r", 6), shown("q", 7)]
    for n, one in enumerate(lists):
        one.context = {"n": n}
    desk.step(*lists)
    assert desk.batch.impressions.request_N == ["r", "q"]
    assert desk.batch.impressions.context_N == [{"n": 0}, {"n": 2}]


def test_a_list_whose_window_had_passed_before_the_batch_is_refused():
    desk = Desk()
    desk.step(tick(20))
    outcomes = desk.step(shown("late", 10), shown("due", 11), tick(60))
    assert desk.batch.impressions.request_N == ["due"]
    assert reasons(desk.batch) == ["late"]
    assert counted(outcomes)["late_impressions"] == 1


def test_a_refused_list_is_kept_as_a_dead_letter_and_the_rest_of_the_batch_is_as_it_was():
    desk = Desk()
    desk.step(shown("r", 5))
    arrived = batch_of_events(
        [shown("r", 6, "ab"), shown("q", 7, "cd"), click("a", 7)], 1, 5, ["f:1", "f:2", "f:3"]
    )
    batch = desk.joiner.gather(arrived)
    (letter,) = batch.dead_letters
    assert letter.origin == "f:1"
    assert json.loads(letter.raw) == {
        "type": "impression", "request_id": "r", "user": "ann", "items": ["i0", "i1"], "ts": 6,
        "policy": "r",
    }  # fmt: skip
    assert batch.impressions.origin_N == ["f:2"]
    assert batch.impressions.starts.tolist() == [0, 2]
    assert (batch.n_records, batch.end, batch.seq) == (arrived.n_records, arrived.end, arrived.seq)
    assert batch.watermark_ms == arrived.watermark_ms


def test_what_a_list_says_of_other_policies_goes_with_it_where_it_goes():
    desk = Desk()
    desk.step(shown("r", 5))
    told = [shown("r", 6, "ab"), shown("q", 7, "cd"), shown("p", 8, "c")]
    for number, event in enumerate(told[:2]):
        event.propensities, event.targets = [0.5, 0.25], {"new": [0.1 * number, 1.0]}
    batch = desk.joiner.gather(batch_of_events(told, 1, 5, ["f:1", "f:2", "f:3"]))
    (letter,) = batch.dead_letters
    assert json.loads(letter.raw)["targets"] == {"new": [0.0, 1.0]}
    np.testing.assert_array_equal(batch.impressions.given_of["new"], [0.1, 1.0, np.nan])


def test_a_click_that_overtook_its_list_waits_for_it():
    desk = Desk()
    desk.step(shown("other", 4))
    outcomes = desk.step(click("a", 5, "r"), click("b", 5, "q"))
    assert desk.released == []
    assert counted(outcomes)["held_clicks"] == 2
    outcomes = desk.step(click("f", 6), shown("r", 4))
    assert desk.released == [("ann", "i0", 5, "r"), ("ann", "i5", 6, None)]
    assert counted(outcomes)["joined_clicks"] == 1
    assert counted(outcomes)["held_clicks"] == 1


def test_a_click_goes_on_alone_after_its_wait_and_its_list_is_refused():
    desk = Desk()
    desk.step(shown("other", 4))
    desk.step(click("a", 5, "r"))
    desk.step(tick(7))
    assert ("ann", "i0", 5, "r") not in desk.released
    outcomes = desk.step(tick(8))
    assert ("ann", "i0", 5, "r") in desk.released
    assert counted(outcomes)["orphan_clicks"] == 1
    outcomes = desk.step(shown("r", 6), click("b", 8, "r"))
    assert len(desk.batch.impressions) == 0
    assert reasons(desk.batch) == ["late"]
    assert counted(outcomes)["late_impressions"] == 1
    assert counted(outcomes)["orphan_clicks"] == 2


def test_clicks_do_not_wait_where_no_lists_come():
    desk = Desk()
    desk.step(click("a", 5, "r"))
    assert desk.batch is desk.arrived
    outcomes = desk.step(shown("r", 4))
    assert counted(outcomes) == {"orphan_clicks": 1, "late_impressions": 1}
    desk.step(shown("other", 6))
    assert counted(desk.step(click("a", 16, "q")))["orphan_clicks"] == 2


def test_clicks_that_wait_are_let_go_when_lists_stop_coming():
    desk = Desk(CONFIG.model_copy(update={"early_wait": 100}))
    desk.step(shown("other", 4))
    desk.step(click("a", 13, "r"))
    assert desk.released == []
    desk.step(tick(14))
    assert [click for click in desk.released if click[0] == "ann"] == [("ann", "i0", 13, "r")]


def test_more_clicks_than_may_wait_are_let_go_the_oldest_first():
    desk = Desk(CONFIG.model_copy(update={"max_pending": 2}))
    desk.step(shown("other", 4))
    desk.step(click("a", 5, "r1"), click("b", 6, "r2"), click("c", 6, "r3"))
    assert [ts for *_, ts, _ in desk.released] == [5]
