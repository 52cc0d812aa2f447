import numpy as np

from learners.in_play import InPlay, rows_of_lists, rows_read
from stream.values import Contexts
from tests.learners.shown_lists import make_shown
from tests.stream_values import make_lessons


def test_lessons_and_sequences_name_the_same_items_by_their_places():
    lessons = make_lessons([[70, 5], [], [9]], [9, 70, 5])
    sequence_QW = np.array([[5, 9, -1]], np.int32)
    row_P = rows_read(lessons.contexts.history_CT, lessons.target_M, sequence_QW)
    in_play = InPlay(row_P, np.zeros(len(row_P), np.float32))
    placed = in_play.lessons(lessons)
    assert row_P.tolist() == [5, 9, 70]
    assert placed.contexts.history_CT.tolist() == [[2, 0], [-1, -1], [1, -1]]
    assert placed.target_M.tolist() == [1, 2, 0]
    sequences = Contexts(sequence_QW, np.array([2], np.int32))
    assert in_play.sequences(sequences).history_CT.tolist() == [[0, 1, -1]]


def test_lists_name_their_items_and_contexts_by_their_places():
    row_P, placed = rows_of_lists(make_shown([[8, -1], [3]], histories=[[20], []]))
    assert row_P.tolist() == [3, 8, 20]
    assert placed.item_S.tolist() == [1, -1, 0]
    assert placed.contexts.history_CT.tolist() == [[2], [-1]]
