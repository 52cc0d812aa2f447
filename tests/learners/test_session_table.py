import numpy as np
import pytest

from learners.session_table import SessionTable
from stream.errors import CheckpointError
from tests.stream_values import make_lessons


def held(table: SessionTable) -> dict[int, list[int]]:
    """Rows of each session that is held, by its running number."""
    seq_N = np.arange(table.oldest_seq, table.n_started)
    owner_E, row_E = table.items(seq_N)
    return {int(seq): row_E[owner_E == i].tolist() for i, seq in enumerate(seq_N)}


def holders(table: SessionTable, row: int) -> list[int]:
    _, seq_N = table.newest_holders(np.array([row], np.int32), 100)
    return sorted(seq_N.tolist())


def click(
    table: SessionTable, *clicks: tuple[int, int], users: list[int] | None = None
) -> SessionTable:
    """Clicks (session, row) without context, as one batch."""
    sessions, rows = [session for session, _ in clicks], [row for _, row in clicks]
    table.append(make_lessons([[]] * len(rows), rows, sessions, users))
    return table


def test_clicks_join_their_session_and_an_item_counts_once() -> None:
    table = click(SessionTable(5, 10), (7, 1), (8, 2), (7, 3), (7, 1))
    click(table, (7, 3), (7, 4))
    assert held(table) == {0: [1, 3, 4], 1: [2]}
    assert holders(table, 3) == [0]
    assert table.holders_V[[1, 2, 3, 4]].tolist() == [1, 1, 1, 1]


def test_an_unknown_session_brings_the_clicks_of_its_context() -> None:
    table = SessionTable(5, 4)
    lessons = make_lessons([[9, 1, 2], [9, 1, 2, 3]], [3, 4], [7, 7], session_lengths=[2, 3])
    table.append(lessons)
    assert held(table) == {0: [1, 2, 3, 4]}


def test_context_beyond_the_room_of_a_session_is_cut_at_its_old_end() -> None:
    table = SessionTable(5, 3)
    table.append(make_lessons([[1, 2, 3, 4]], [5]))
    assert held(table) == {0: [3, 4, 5]}


def test_a_full_session_goes_on_as_another() -> None:
    table = click(SessionTable(5, 2), (7, 1), (7, 2), (7, 3))
    click(table, (7, 4), (7, 5))
    assert held(table) == {0: [1, 2], 1: [3, 4], 2: [5]}


def test_a_new_session_evicts_the_oldest() -> None:
    table = click(SessionTable(2, 3), (7, 1), (8, 1))
    click(table, (9, 1))
    assert held(table) == {1: [1], 2: [1]}
    assert holders(table, 1) == [1, 2]
    assert table.holders_V[1] == 2


def test_an_evicted_session_starts_anew() -> None:
    table = click(SessionTable(2, 3), (7, 1), (8, 2), (9, 3))
    click(table, (7, 4))
    assert held(table) == {2: [3], 3: [4]}


def test_a_burst_of_sessions_leaves_the_last_ones() -> None:
    table = click(SessionTable(2, 3), (1, 9))
    click(table, (1, 8), (2, 1), (3, 2), (2, 3), (4, 4), (5, 5), (4, 6))
    assert held(table) == {3: [4, 6], 4: [5]}
    assert table.holders_V[:10].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_a_recycled_row_leaves_every_session() -> None:
    table = click(SessionTable(5, 3), (7, 1), (7, 2), (8, 1))
    table.drop_rows(np.array([1], np.int32))
    assert held(table) == {0: [2], 1: []}
    assert holders(table, 1) == []
    click(table, (7, 1))
    assert held(table) == {0: [2, 1], 1: []}
    assert table.holders_V[1] == 1


def test_a_forgotten_user_leaves_no_trace() -> None:
    table = click(SessionTable(5, 3), (7, 1), (8, 1), (7, 2), users=[40, 50, 40])
    table.drop_users(np.array([40]))
    assert held(table) == {0: [], 1: [1]}
    state = table.state_dict()
    assert state["user"].tolist() == [0, 50]
    assert state["session"].tolist() == [0, 8]
    assert len(state["postings"]) == 1
    assert table.holders_V[[1, 2]].tolist() == [1, 0]
    assert held(click(table, (7, 3), users=[40])) == {0: [], 1: [1], 2: [3]}


def test_random_streams_keep_counts_and_postings_in_step_with_the_sessions() -> None:
    rng = np.random.default_rng(8)
    table = SessionTable(6, 4)
    for _ in range(60):
        sessions, rows = rng.integers(0, 12, 9), rng.integers(0, 8, 9)
        click(table, *zip(sessions.tolist(), rows.tolist(), strict=True))
        if rng.random() < 0.2:
            table.drop_rows(rng.integers(0, 8, 2).astype(np.int32))
        if rng.random() < 0.2:
            table.drop_users(rng.integers(0, 12, 1))
        rows_of = held(table)
        for row in range(8):
            expected = [seq for seq, session_rows in rows_of.items() if row in session_rows]
            assert holders(table, row) == expected
            assert (table.holders_V[row] if row < len(table.holders_V) else 0) == len(expected)


def test_a_state_of_other_settings_is_refused() -> None:
    state = click(SessionTable(5, 3), (7, 1)).state_dict()
    with pytest.raises(CheckpointError, match="5 sessions of 3 clicks but the settings want 5 of"):
        SessionTable(5, 4).load_state_dict(state)
