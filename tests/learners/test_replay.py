import numpy as np

from learners.replay import ReplayBuffer
from stream.values import Changes, Contexts, Lessons
from tests.conformance.stateful_contract import StatefulContract


def lessons_of(histories: list[list[int]], targets: list[int], user: int = 7) -> Lessons:
    width = max(map(len, histories))
    history_CT = np.full((len(histories), width), -1, np.int32)
    for row, history in zip(history_CT, histories, strict=True):
        row[: len(history)] = history
    n = len(targets)
    return Lessons(
        contexts=Contexts(history_CT, np.array([len(h) for h in histories], np.int32)),
        context_of_M=np.arange(n, dtype=np.int32),
        target_M=np.array(targets, np.int32),
        ts_M=np.arange(n),
        user_M=np.full(n, user),
        session_M=np.zeros(n, np.int64),
        session_length_M=np.zeros(n, np.int32),
    )


def changes_of(n_items: int, recycled: list[int], forgotten: list[int]) -> Changes:
    return Changes(n_items, np.array(recycled, np.int32), np.array(forgotten, np.int64))


def drawn(buffer: ReplayBuffer, n: int = 400) -> list[tuple[int, ...]]:
    found = buffer.sample(n, np.random.default_rng(1))
    pairs = zip(found.history_CT, found.length_C.tolist(), strict=True)
    return [tuple(sequence[:length].tolist()) for sequence, length in pairs]


def test_a_sequence_is_the_context_and_its_target():
    buffer = ReplayBuffer(8, 4, recent_share=0.5)
    buffer.add(lessons_of([[1, 2, 3], []], [9, 5]), np.random.default_rng(0))
    assert set(drawn(buffer)) == {(1, 2, 3, 9), (5,)}


def test_an_empty_buffer_gives_nothing():
    found = ReplayBuffer(8, 4, recent_share=0.5).sample(10, np.random.default_rng(0))
    assert (found.history_CT.shape, found.length_C.shape) == ((0, 0), (0,))


def test_no_positions_asked_draws_nothing():
    buffer = ReplayBuffer(8, 2, recent_share=0.5)
    buffer.add(lessons_of([[]], [1]), np.random.default_rng(0))
    assert len(buffer.sample(0, np.random.default_rng(0)).length_C) == 0


def test_about_as_many_positions_are_drawn_as_asked_for():
    buffer = ReplayBuffer(8, 4, recent_share=0.5)
    buffer.add(lessons_of([[1, 2, 3], [1]], [9, 5]), np.random.default_rng(0))
    assert sum(map(len, drawn(buffer, 300))) in range(250, 350)


def test_the_newest_are_drawn_beside_the_others_and_change_none_of_them(monkeypatch):
    monkeypatch.setattr("learners.replay.NEWEST_SEQUENCES", 3)
    buffer = ReplayBuffer(20, 1, recent_share=0.5)
    buffer.add(lessons_of([[]] * 95, list(range(95))), np.random.default_rng(0))
    alone = buffer.sample(40, np.random.default_rng(1)).history_CT
    beside = buffer.sample(40, np.random.default_rng(1), 60).history_CT
    np.testing.assert_array_equal(beside[:40], alone)
    assert len(beside) == 100
    assert set(beside[40:, 0].tolist()) == {92, 93, 94}
    newest = buffer.sample(0, np.random.default_rng(1), 60).history_CT
    assert set(newest[:, 0].tolist()) == {92, 93, 94}


def test_half_is_the_latest_and_half_a_uniform_sample_of_everything():
    buffer = ReplayBuffer(200, 1, recent_share=0.5)
    rng = np.random.default_rng(4)
    for start in range(0, 10_000, 50):
        buffer.add(lessons_of([[]] * 50, list(range(start, start + 50))), rng)
    state = buffer.state_dict()
    assert sorted(state["sequence"][100:, 0].tolist()) == list(range(9_900, 10_000))
    sampled = state["sequence"][:100, 0]
    # Uniform over 0 .. 9,999: mean 5,000 with a standard error of 289.
    assert abs(float(sampled.mean()) - 5_000) < 4 * 289


def test_a_recycled_row_is_dropped_from_sequences():
    buffer = ReplayBuffer(8, 4, recent_share=0.5)
    buffer.add(lessons_of([[1, 2, 3], [2]], [9, 2]), np.random.default_rng(0))
    buffer.follow(changes_of(10, [2], []))
    assert set(drawn(buffer)) == {(1, 3, 9)}


def test_sequences_of_a_forgotten_user_are_erased():
    buffer = ReplayBuffer(8, 4, recent_share=0.5)
    buffer.add(lessons_of([[1]], [2], user=7), np.random.default_rng(0))
    buffer.add(lessons_of([[3]], [4], user=8), np.random.default_rng(0))
    buffer.follow(changes_of(10, [], [7]))
    assert set(drawn(buffer)) == {(3, 4)}
    assert 7 not in buffer.state_dict()["user"]


class TestReplayState(StatefulContract):
    @staticmethod
    def make() -> ReplayBuffer:
        return ReplayBuffer(16, 3, recent_share=0.5)

    @staticmethod
    def drive(stateful: ReplayBuffer, step: int) -> object:
        rng = np.random.default_rng(step)
        stateful.add(lessons_of([[step, 1]] * 5, [step] * 5, user=step), rng)
        stateful.follow(changes_of(10, [step] if step % 2 else [], []))
        found = stateful.sample(20, rng)
        return [found.history_CT.copy(), found.length_C.copy()]
