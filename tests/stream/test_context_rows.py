import numpy as np

from stream.asker_values import Askers
from stream.context_rows import chosen, distinct, end_to_end, nobody, without_gone
from stream.values import Contexts
from tests.conformance.stateful_contract import assert_same_bits
from tests.stream_values import make_contexts


def askers(*rows: tuple[int, float]) -> Askers:
    return Askers(
        np.array([[token, 7] for token, _ in rows], np.int32).reshape(-1, 2),
        np.array([[number] for _, number in rows], np.float32).reshape(-1, 1),
    )


def asked(histories: list[list[int]], *rows: tuple[int, float]) -> Contexts:
    contexts = make_contexts(histories)
    return Contexts(contexts.history_CT, contexts.length_C, askers=askers(*rows))


def test_chosen_contexts_keep_who_asks():
    found = chosen(asked([[1], [2, 3]], (4, 0.5), (5, 0.25)), np.array([1, 1, 0]))
    assert_same_bits(found, asked([[2, 3], [2, 3], [1]], (5, 0.25), (5, 0.25), (4, 0.5)))


def test_end_to_end_is_padded_to_the_longest():
    parts = [asked([[1]], (4, 0.5)), asked([[2, 3], []], (5, 0.25), (6, 0.0))]
    assert_same_bits(end_to_end(parts), asked([[1], [2, 3], []], (4, 0.5), (5, 0.25), (6, 0.0)))


def test_beside_those_who_are_known_others_are_nobody():
    found = end_to_end([make_contexts([[1], [2]]), asked([[3]], (4, 0.5))])
    assert found.askers is not None
    assert found.askers.token_CX.tolist() == [[-1, -1], [-1, -1], [4, 7]]
    assert found.askers.number_CF.tolist() == [[0.0], [0.0], [0.5]]


def test_where_nobody_says_who_asks_nothing_is_kept_of_it():
    assert end_to_end([make_contexts([[1]]), make_contexts([[2]])]).askers is None
    assert chosen(make_contexts([[1]]), np.array([0])).askers is None


def test_no_contexts_are_an_empty_table():
    assert end_to_end([]).history_CT.shape == (0, 1)


def test_rows_that_are_gone_leave_histories_and_nothing_else():
    found = without_gone(asked([[1, 2], [2]], (4, 0.5), (5, 0.25)), np.array([False, False, True]))
    assert found.length_C.tolist() == [1, 0]
    assert found.askers is not None
    assert found.askers.token_CX[:, 0].tolist() == [4, 5]


def test_those_who_are_alike_in_every_column_have_one_number():
    number_C = distinct(askers((4, 0.5), (4, 0.25), (4, 0.5), (5, 0.5), (4, 0.0), (4, -0.0)))
    assert number_C[0] == number_C[2]
    assert number_C[4] == number_C[5]
    assert len(set(number_C.tolist())) == 4


def test_nobody_is_known_by_nothing():
    assert (nobody(2, 1, 1).token_CX.tolist(), nobody(2, 1, 1).number_CF.tolist()) == (
        [[-1], [-1]],
        [[0.0], [0.0]],
    )
