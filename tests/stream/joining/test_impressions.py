from dataclasses import replace

import numpy as np

from stream.asker_values import Askers
from stream.input_settings import InputsConfig
from stream.joining.impressions import PendingLists
from stream.values import Contexts, Impressions, Predictions, Shown
from tests.conformance.stateful_contract import StatefulContract
from tests.stream.joining.desk import histories_of
from tests.stream_values import make_contexts

ANN, BOB = 1, 2


def add(
    lists: PendingLists,
    *rows: tuple[str, int, int, list[int]],
    seq: int = 0,
    contexts: list[list[int]] | Contexts | None = None,
) -> None:
    """Add lists of (request, user, ts, items); users and items are hashes and items rows too."""
    items = [item for *_, shown in rows for item in shown]
    starts = np.cumsum([0, *(len(shown) for *_, shown in rows)])
    told = Impressions(
        request_N=[request for request, *_ in rows],
        user_N=["?"] * len(rows),
        ts_N=np.array([ts for _, _, ts, _ in rows], np.int64),
        starts=starts,
        item_S=["?"] * len(items),
        propensity_S=np.full(len(items), np.nan),
        policy_N=[f"policy of {request}" for request, *_ in rows],
    )
    shown = Shown(
        contexts=contexts
        if isinstance(contexts, Contexts)
        else make_contexts([[]] * len(rows) if contexts is None else contexts),
        context_of_N=np.arange(len(rows), dtype=np.int32),
        starts=starts,
        item_S=np.array(items, np.int32),
        position_S=np.concatenate([np.arange(len(s), dtype=np.int32) + 1 for *_, s in rows]),
    )
    user_N = np.array([user for _, user, _, _ in rows], np.int64)
    lists.add(told, shown, user_N, np.array(items, np.int64), seq)


def pending(*rows: tuple[str, int, int, list[int]], max_pending: int = 100) -> PendingLists:
    """Lists that wait, with a window of 10."""
    lists = PendingLists(10, max_pending, ["model"])
    add(lists, *rows)
    return lists


def latest(lists: PendingLists, user: int, item: int, ts: int) -> int:
    return int(lists.latest_showing(np.array([user]), np.array([item]), np.array([ts]))[0])


def test_an_item_is_found_in_its_list():
    lists = pending(("r1", ANN, 5, [11, 12]), ("r2", BOB, 6, [12, 13, 14]))
    places = lists.places(["r2", "r1", "unknown", None])
    assert places.tolist() == [1, 0, -1, -1]
    assert lists.index_of(places[:2], np.array([13, 13])).tolist() == [3, -1]
    assert lists.ts_of(np.array([0, 1, 2, 4])).tolist() == [5, 5, 6, 6]


def test_the_latest_list_that_shows_an_item_is_found_within_its_window():
    lists = pending(("r1", ANN, 5, [11, 12]), ("r2", ANN, 6, [12]), ("r3", ANN, 6, [12]))
    assert [latest(lists, ANN, 12, ts) for ts in (4, 5, 6, 16, 17)] == [-1, 1, 3, 3, -1]
    assert latest(lists, BOB, 12, 6) == -1
    add(lists, ("r4", ANN, 3, [12]), ("r5", BOB, 8, [12]))
    assert [latest(lists, ANN, 12, ts) for ts in (4, 6)] == [4, 3]


def test_a_list_that_was_taken_is_found_no_more():
    lists = pending(("r1", ANN, 5, [11]), ("r2", ANN, 9, [11]))
    assert lists.take_mature(15)[0].tolist() == [0]
    assert latest(lists, ANN, 11, 8) == -1
    assert latest(lists, ANN, 11, 9) == 1
    assert "r1" not in lists
    assert "r2" in lists


def test_a_list_keeps_who_asked_for_it():
    inputs = InputsConfig.model_validate({"context": {"device": "category", "load": "number"}})
    lists = PendingLists(10, 100, ["model"], inputs)
    who = Askers(np.array([[4], [5]], np.int32), np.array([[0.5], [0.25]], np.float32))
    told = replace(make_contexts([[1, 2], [3]]), askers=who)
    add(lists, ("r1", ANN, 5, [11]), ("r2", BOB, 6, [12, 13]), contexts=told)
    add(lists, ("r3", ANN, 7, [11]))
    restored = PendingLists(10, 100, ["model"], inputs)
    restored.load_state_dict(lists.state_dict())
    for found in (lists, restored):
        shown, _ = found.as_scored(np.array([1, 0, 2]))
        assert shown.contexts.askers is not None
        assert shown.contexts.askers.token_CX.tolist() == [[5], [4], [-1]]
        assert shown.contexts.askers.number_CF.tolist() == [[0.25], [0.5], [0.0]]
        one = found.items_as_scored(np.array([2]))
        assert one.contexts.askers is not None
        assert one.contexts.askers.token_CX.tolist() == [[5]]


def test_a_shown_item_is_clicked_for_the_first_time_once():
    lists = pending(("r1", ANN, 5, [11, 12, 13]))
    assert lists.click(np.array([1, 0, 1])).tolist() == [True, True, False]
    assert lists.click(np.array([0, 2])).tolist() == [False, True]
    assert lists.clicked_from(1).tolist() == [True, True]


def test_the_memory_of_lists_that_are_gone_is_given_back():
    lists = PendingLists(10, 100_000, ["model"])
    for seq in range(300):
        rows = [(f"r{seq}-{n}", ANN, seq, list(range(20))) for n in range(20)]
        add(lists, *rows, seq=seq)
        lists.take_mature(seq)
        lists.tidy()
        assert lists.next_index - 20 * len(lists) <= 16_384 + 20 * len(lists)
    assert len(lists) == 10 * 20
    assert latest(lists, ANN, 7, 299) == lists.next_index - 20 + 7


def test_lists_are_handed_out_whole_after_others_were_cleared_away():
    lists = PendingLists(10, 100, ["model"])
    add(lists, ("r1", ANN, 5, [11, 12]), ("r2", ANN, 9, [13]), contexts=[[1], [2, 3]])
    lists.keep_probabilities(0, {"model": Predictions(None, np.array([0.1, 0.2, 0.3]))})
    lists.click(np.array([2]))
    lists.take_mature(15)
    lists.state_dict()  # clears away
    place_M, ts_M, n_early = lists.take_mature(19)
    answers = lists.answers(place_M, ts_M)
    assert (answers.ts_N.tolist(), n_early) == ([19], 0)
    assert answers.policy_N == ["policy of r2"]
    assert answers.is_clicked_S.tolist() == [True]
    assert answers.probability_of["model"].tolist() == [0.3]
    scored, is_clicked = lists.as_scored(place_M)
    assert histories_of(scored.contexts) == [[2, 3]]
    assert is_clicked.tolist() == [True]


def test_a_row_recycled_after_the_batch_of_a_list_is_gone_and_one_before_it_is_not():
    lists = PendingLists(10, 100, ["model"])
    none = np.zeros(0, np.int64)
    lists.follow(5, np.array([0]), 3, none)
    add(lists, ("r1", ANN, 5, [0, 1]), seq=4, contexts=[[0, 1, 2]])
    lists.follow(5, np.array([1]), 4, none)
    scored, _ = lists.as_scored(np.array([0]))
    assert scored.item_S.tolist() == [0, -1]
    assert histories_of(scored.contexts) == [[0, 2]]


class TestPendingListsState(StatefulContract):
    make = staticmethod(lambda: PendingLists(10, 5, ["model", "other"]))

    @staticmethod
    def drive(obj: PendingLists, step: int) -> object:
        rows = [(f"r{step}-{n}", ANN + n % 2, 6 * step + n, [11 + n, 15]) for n in range(3)]
        add(obj, *rows, seq=step, contexts=[[step], [], [1, step]])
        first = obj.next_index - 6
        obj.keep_probabilities(first, {"other": Predictions(None, np.arange(6) / (step + 7))})
        found = obj.latest_showing(np.array([ANN, BOB]), np.array([15, 15]), np.full(2, 6 * step))
        is_first = obj.click(found[found >= 0])
        place_M, ts_M, n_early = obj.take_mature(6 * step)
        told = obj.answers(place_M, ts_M), obj.as_scored(place_M)
        obj.follow(20, np.array([step]), step, np.array([BOB] if step == 3 else [], np.int64))
        return told, n_early, is_first, len(obj)
