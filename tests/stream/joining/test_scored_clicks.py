from dataclasses import replace

import numpy as np

from stream.joining.click_matching import Matches
from stream.joining.impressions import PendingLists
from stream.joining.scored_clicks import ON_NO_LIST, ScoredClicks
from stream.values import Impressions, Predictions
from tests.conformance.stateful_contract import StatefulContract
from tests.learners.shown_lists import make_shown
from tests.stream_values import make_changes, make_queries

_JOINED, _REPEATED, _ORGANIC = 0, 1, 5
N_ITEMS = 9


def lists_of_one(n_items: int = 3) -> PendingLists:
    """A list of items that waits, in the context of item 7; no two are told the same."""
    lists = PendingLists(10, 100, ["model"])
    shown = make_shown([list(range(n_items))], [[7]])
    arrived = Impressions(
        ["r"], ["ann"], np.array([5]), shown.starts, [], np.zeros(n_items), [None]
    )
    first = lists.next_index
    lists.add(arrived, shown, np.array([1]), np.arange(n_items), 0)
    told_S = (1 + np.arange(n_items)) / 10
    lists.keep_probabilities(first, {"model": Predictions(np.zeros((0, 1)), told_S / 2, told_S)})
    return lists


def added(
    clicks: ScoredClicks,
    lists: PendingLists,
    verdicts: list[int],
    index: list[int],
    rows: list[int],
    seq: int = 0,
):
    queries = make_queries([[8]] * len(rows), N_ITEMS)
    queries = replace(queries, ts_B=np.full(len(rows), 6 + seq))
    matches = Matches(np.array(verdicts), np.array(index, np.int64))
    user_B = np.ones(len(rows), np.int64)
    return clicks.add(queries, np.array(rows, np.int32), user_B, matches, lists, seq)


def test_each_click_gets_a_number_and_one_that_repeats_another_that_of_the_first():
    clicks, lists = ScoredClicks(20, 100, ["model"]), lists_of_one()
    number_B, _ = added(clicks, lists, [_JOINED, _ORGANIC, _REPEATED], [1, -1, 1], [1, 4, 1])
    assert number_B[0] == number_B[2] != number_B[1]
    again_B, _ = added(clicks, lists, [_JOINED, _REPEATED], [2, 1], [2, 1], seq=1)
    assert again_B[1] == number_B[0]
    assert again_B[0] not in number_B
    assert len(clicks) == 3


def test_a_repeat_of_a_click_that_was_not_kept_has_no_number():
    number_B, lessons = added(
        ScoredClicks(20, 100, ["model"]), lists_of_one(), [_REPEATED], [1], [1]
    )
    assert (number_B.tolist(), lessons) == ([-1], ())


def test_clicks_on_no_list_are_told_in_the_context_in_which_they_were_asked_for():
    clicks = ScoredClicks(20, 100, ["model"])
    _, (lessons,) = added(clicks, lists_of_one(), [_ORGANIC] * 2, [-1, -1], [4, -1])
    assert not lessons.is_converted
    assert lessons.shown.item_S.tolist() == [4, -1]
    assert lessons.shown.position_S.tolist() == [ON_NO_LIST] * 2
    assert lessons.shown.contexts.history_CT[lessons.shown.context_of_N].tolist() == [[8], [8]]


def test_what_was_told_of_a_conversion_is_what_the_list_was_told_and_not_of_the_click():
    clicks, lists = ScoredClicks(20, 100, ["model"]), lists_of_one()
    number_B, _ = added(clicks, lists, [_JOINED, _ORGANIC], [1, -1], [1, 4])
    clicks.convert(number_B.tolist())
    predicted = clicks.take_mature(number_B, np.array([26, 27]))
    assert predicted.ts_N.tolist() == [26]
    assert predicted.is_converted_N.tolist() == [True]
    assert predicted.probability_of["model"].tolist() == [0.2]
    assert len(clicks) == 0


def test_numbers_that_nothing_is_known_of_convert_and_mature_in_vain():
    clicks = ScoredClicks(20, 100, ["model"])
    assert clicks.convert([-1, 7]) == ()
    assert len(clicks.take_mature(np.array([-1, 7]), np.array([1, 2]))) == 0


class TestScoredClicksState(StatefulContract):
    make = staticmethod(lambda: ScoredClicks(20, 100, ["model"]))

    @staticmethod
    def drive(obj: ScoredClicks, step: int) -> object:
        verdicts, index = [_JOINED, _ORGANIC, _REPEATED], [step % 3, -1, step % 3]
        number_B, lessons = added(
            obj, lists_of_one(), verdicts, index, [step % 3, 4, step % 3], step
        )
        converted = obj.convert([int(number_B[step % 2])])
        matured = obj.take_mature(number_B[:1] - 2, np.array([6 * step]))
        obj.follow(make_changes(N_ITEMS, recycled=[step % 5]), step)
        return number_B, lessons, converted, matured
