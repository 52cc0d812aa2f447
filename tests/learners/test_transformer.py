import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from learners.in_play import InPlay
from learners.replay import no_sequences
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.values import Contexts, Lessons, Queries, Shown, State
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.learners.shown_lists import make_shown, make_shown_lessons, outcomes_of_lists
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries


def learner_of(**settings: object) -> TransformerLearner:
    config = {"width": 8, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}
    return TransformerLearner(TransformerConfig.model_validate(config | settings))


class TestTransformer(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of()
        learner.follow(make_changes(12))
        return learner


def test_it_learns_which_item_follows_which():
    """A cycle over six items: after some hundred clicks the successor leads each list."""
    learner = learner_of(replay_ratio=1, width=16)
    learner.follow(make_changes(6))
    rng = np.random.default_rng(0)
    for _ in range(40):
        ends = rng.integers(0, 6, 16)
        histories = [[(int(end) - 2) % 6, (int(end) - 1) % 6, int(end)] for end in ends]
        targets = [(int(end) + 1) % 6 for end in ends]
        learner.learn(make_outcomes(make_lessons(histories, targets)))
    asked = make_queries([[4, 5, 0], [1, 2, 3]], n_items=6, k=2)
    assert learner.predict(asked).top_items_BK[:, 0].tolist() == [1, 4]


def test_histories_of_other_lengths_do_not_change_a_prediction():
    """Bucketing and padding are invisible: each context is ranked as if it stood alone."""
    learner = learner_of(history_items=40)
    learner.follow(make_changes(30))
    rng = np.random.default_rng(1)
    histories = [rng.integers(0, 30, n).tolist() for n in (0, 1, 3, 4, 5, 9, 17, 33, 40)]
    together = learner.predict(make_queries(histories, n_items=30, k=5)).top_items_BK
    for history, expected in zip(histories, together.tolist(), strict=True):
        alone = learner.predict(make_queries([history], n_items=30, k=5)).top_items_BK
        assert alone.tolist() == [expected]


def test_predicting_draws_no_dropout_and_learning_does_not_leave_it_on():
    learner = learner_of(dropout=0.5)
    learner.follow(make_changes(20))
    learner.learn(make_outcomes(make_lessons([[1, 2, 3]], [4])))
    queries = make_queries([[1, 2, 3]] * 2, n_items=20, k=20)
    first = learner.predict(queries).top_items_BK
    assert first[0].tolist() == first[1].tolist()
    assert learner.predict(queries).top_items_BK.tolist() == first.tolist()


def test_equal_seeds_give_equal_weights_and_others_do_not():
    def weights(seed: int) -> bytes:
        learner = learner_of(seed=seed)
        learner.follow(make_changes(9))
        for _ in range(3):
            learner.learn(make_outcomes(make_lessons([[1, 2], [3]], [4, 5])))
        state = learner.state_dict()["finetuner"]["weights"]
        return b"".join(np.asarray(entry["weight"]).tobytes() for entry in state.values())

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_nothing_is_ranked_before_an_item_is_known():
    learner = learner_of()
    empty = Contexts(np.full((1, 1), -1, np.int32), np.zeros(1, np.int32))
    queries = Queries(
        empty,
        np.zeros(1, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1, np.int32),
        0,
        np.zeros(0, np.uint32),
        3,
    )
    assert learner.predict(queries).top_items_BK.tolist() == [[-1, -1, -1]]


def test_a_width_that_rotary_positions_cannot_pair_is_refused():
    with pytest.raises(ValidationError, match=r"width 10 must be a multiple of 2 x heads \(4\)"):
        TransformerConfig(width=10, heads=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_ranks_like_on_the_cpu():
    lists = []
    for device in ("cpu", "cuda"):
        learner = learner_of(device=device)
        learner.follow(make_changes(12))
        queries = make_queries([[1, 2], [3]], n_items=12, k=1)
        lists.append(learner.predict(queries).top_items_BK.tolist())
    assert lists[0] == lists[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_estimates_clicks_like_on_the_cpu():
    shown, is_clicked_S = world_of_lists(0)
    told = []
    for device in ("cpu", "cuda"):
        learner = learner_of(device=device)
        learner.follow(make_changes(6))
        learner.learn(outcomes_of_lists(make_shown_lessons(shown, is_clicked_S)))
        told.append(learner.predict(asking(shown, [])).click_probability_S)
    np.testing.assert_allclose(told[0], told[1], rtol=0.05)


def world_of_lists(seed: int, n_lists: int = 20) -> tuple[Shown, np.ndarray]:
    """Lists of six items: rows 0 to 2 are clicked often, the further up the more."""
    rng = np.random.default_rng(seed)
    rows_NK = np.array([rng.permutation(6) for _ in range(n_lists)])
    p_NK = np.where(rows_NK < 3, 0.5, 0.05) * 0.7 ** np.arange(6)
    histories = [rng.integers(0, 6, rng.integers(0, 4)).tolist() for _ in range(n_lists)]
    return make_shown(rows_NK.tolist(), histories), rng.random(rows_NK.size) < p_NK.ravel()


def asking(shown: Shown, histories: list[list[int]]) -> Queries:
    return replace(make_queries(histories, n_items=6, k=3), shown=shown)


def a_cycle(seed: int) -> Lessons:
    """Clicks over six items: each is followed by the next."""
    ends = np.random.default_rng(seed).integers(0, 6, 12)
    histories = [[(int(end) - 1) % 6, int(end)] for end in ends]
    return make_lessons(histories, [(int(end) + 1) % 6 for end in ends])


def weights_and_replay(learner: TransformerLearner) -> State:
    state = learner.state_dict()
    return {name: state[name] for name in ("finetuner", "served", "replay", "n_learned")}


def test_lists_leave_the_ranking_and_everything_it_is_learned_with_bit_for_bit():
    with_lists, without = learner_of(), learner_of()
    for learner in (with_lists, without):
        learner.follow(make_changes(6))
    for step in range(6):
        shown, is_clicked_S = world_of_lists(step)
        queries = asking(shown, [[step % 6], [], [1, 2, 3]])
        listed = with_lists.predict(queries).top_items_BK
        assert (
            listed.tolist() == without.predict(replace(queries, shown=None)).top_items_BK.tolist()
        )
        outcomes = make_outcomes(a_cycle(step))
        lessons = make_shown_lessons(shown, is_clicked_S)
        with_lists.learn(replace(outcomes, shown_lessons=(lessons,)))
        with_lists.learn(outcomes_of_lists(lessons))
        without.learn(outcomes)
    assert_same_bits(weights_and_replay(with_lists), weights_and_replay(without))
    assert not is_same(with_lists.state_dict()["tasks"], without.state_dict()["tasks"])


def test_clicks_on_lists_are_estimated_by_item_and_place():
    learner = learner_of()
    learner.follow(make_changes(6))
    estimated, actual = 0.0, 0
    for step in range(120):
        shown, is_clicked_S = world_of_lists(step)
        p_S = learner.predict(asking(shown, [])).click_probability_S
        if step >= 40:
            estimated, actual = estimated + p_S.sum(), actual + is_clicked_S.sum()
        learner.learn(outcomes_of_lists(make_shown_lessons(shown, is_clicked_S)))
    assert estimated / actual == pytest.approx(1.0, abs=0.06)
    one_each = make_shown([[0], [0], [5]], histories=[[], [], []], positions=[1, 4, 1])
    best, lower, worst = learner.predict(asking(one_each, [])).click_probability_S
    assert lower / best == pytest.approx(0.7**3, rel=0.35)
    assert best > 5 * worst


def test_how_well_an_item_follows_moves_its_estimate():
    """Clicked is whatever comes next in the cycle, whichever item it is."""
    learner = learner_of(width=16, replay_ratio=1)
    learner.follow(make_changes(6))
    for step in range(60):
        learner.learn(make_outcomes(a_cycle(step)))
    rng = np.random.default_rng(0)
    for _ in range(30):
        ends = rng.integers(0, 6, 20)
        shown = make_shown([rng.permutation(6).tolist() for _ in ends], [[int(e)] for e in ends])
        is_next_S = shown.item_S == np.repeat((ends + 1) % 6, 6)
        learner.learn(outcomes_of_lists(make_shown_lessons(shown, is_next_S)))
    shown = make_shown([[0, 1, 2, 3, 4, 5]] * 2, [[2], [4]], positions=[1] * 12)
    p_NK = learner.predict(asking(shown, [])).click_probability_S.reshape(2, 6)
    assert p_NK.argmax(axis=1).tolist() == [3, 5]
    assert np.sort(p_NK, axis=1)[:, -1].min() > 3 * np.sort(p_NK, axis=1)[:, -2].max()


def test_an_estimate_does_not_depend_on_the_answers_of_its_own_batch():
    learners = [learner_of(), learner_of()]
    for learner in learners:
        learner.follow(make_changes(6))
    for step in range(4):
        shown, is_clicked_S = world_of_lists(step)
        told = [learner.predict(asking(shown, [[1]])).click_probability_S for learner in learners]
        if step < 3:
            assert told[0].tolist() == told[1].tolist()
        for n, learner in enumerate(learners):
            answers_S = ~is_clicked_S if step == 2 and n else is_clicked_S
            learner.learn(outcomes_of_lists(make_shown_lessons(shown, answers_S)))
    assert told[0].tolist() != told[1].tolist(), "the answers are learned afterwards"


def test_the_queries_beside_a_list_do_not_change_its_estimates():
    learner = learner_of(history_items=40)
    learner.follow(make_changes(6))
    shown = make_shown([[0, 1], [2, -1]], histories=[[1] * 30, []])
    alone_S = learner.predict(asking(shown, [])).click_probability_S
    beside_S = learner.predict(asking(shown, [[1, 2], [3] * 9, []])).click_probability_S
    np.testing.assert_allclose(alone_S, beside_S, rtol=1e-6)


def test_a_recycled_row_loses_the_clicks_of_its_past():
    learner = learner_of()
    learner.follow(make_changes(6))
    shown, asked = make_shown([[1]] * 30), asking(make_shown([[1]]), [])
    before = learner.predict(asked).click_probability_S
    learner.learn(outcomes_of_lists(make_shown_lessons(shown, [True] * 30)))
    learner.follow(make_changes(6, recycled=[1]))
    rows = learner.state_dict()["tasks"]["clicks"]
    assert rows["item"][1] == rows["item"][2] == 0.0
    assert rows["item_precision"][1] == rows["item_precision"][2]
    assert learner.predict(asked).click_probability_S > before, "the base rate stays learned"


def trained(n_steps: int, first: int = 0, learner: TransformerLearner | None = None):
    if learner is None:
        learner = learner_of()
        learner.follow(make_changes(6))
    for step in range(first, first + n_steps):
        taught = make_shown_lessons(*world_of_lists(step))
        learner.learn(replace(make_outcomes(a_cycle(step)), shown_lessons=(taught,)))
    return learner


def test_learning_is_adjusted_until_it_is_set_back():
    plain, adjusted, undone = (trained(2) for _ in range(3))
    adjusted.adjust(0.5, 2.0)
    undone.adjust(3.0, 3.0)
    undone.adjust(1.0, 1.0)
    for learner in (plain, adjusted, undone):
        trained(2, 2, learner)
    assert_same_bits(undone.state_dict(), plain.state_dict())
    for part in ("finetuner", "served", "tasks"):
        assert not is_same(adjusted.state_dict()[part], plain.state_dict()[part]), part


def test_a_raised_learning_rate_shortens_the_memory_for_clicks():
    def precision(memory: float, factor: float) -> list[list[float]]:
        learner = learner_of(click_memory=memory)
        learner.follow(make_changes(6))
        learner.adjust(1.0, factor)
        for step in range(10):
            learner.learn(outcomes_of_lists(make_shown_lessons(*world_of_lists(step))))
        return learner.state_dict()["tasks"]["clicks"]["precision"].tolist()

    assert precision(90.0, 3.0) == precision(30.0, 1.0) != precision(90.0, 1.0)


def test_replay_is_raised_by_its_factor():
    def replayed(replay_ratio: float, factor: float) -> State:
        learner = learner_of(replay_ratio=replay_ratio)
        learner.adjust(factor, 1.0)
        learner.follow(make_changes(6))
        return weights_and_replay(trained(3, learner=learner))

    assert_same_bits(replayed(6.0, 0.5), replayed(3.0, 1.0))
    assert not is_same(replayed(2.0, 1.0), replayed(2.0, 3.0))


def test_an_adjusted_learner_resumes_adjusted():
    unbroken, resumed = trained(2), learner_of()
    unbroken.adjust(2.0, 3.0)
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    for learner in (unbroken, resumed):
        trained(2, 2, learner)
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())


@pytest.mark.parametrize(("replay", "rate"), [(-1, 1), (1, 0), (math.inf, 1), (1, math.nan)])
def test_factors_that_cannot_be_used_are_refused(replay, rate):
    with pytest.raises(ValueError, match="expected a replay factor of 0 or more and"):
        learner_of().adjust(replay, rate)


def test_weights_are_taken_back_and_what_numbers_the_draws_is_not():
    learner = trained(3)
    shown, _ = world_of_lists(50)
    queries = asking(shown, [[1, 2], [], [3]])
    earlier, expected = copy.deepcopy(learner.state_dict()), learner.predict(queries)
    trained(4, 3, learner)
    assert not is_same(learner.predict(queries), expected)
    later = copy.deepcopy(learner.state_dict())
    learner.restore(earlier, np.ones(6, np.bool_))
    assert_same_bits(learner.predict(queries), expected)
    now = learner.state_dict()
    assert_same_bits(now["replay"], later["replay"])
    assert now["n_learned"] == later["n_learned"] == 7
    assert now["finetuner"]["n_steps"] == later["finetuner"]["n_steps"]


def test_rows_that_mean_other_items_now_and_new_rows_keep_what_they_have_learned():
    learner = trained(3)
    earlier = copy.deepcopy(learner.state_dict())
    learner.follow(make_changes(9, recycled=[4]))
    trained(3, 3, learner)
    later = copy.deepcopy(learner.state_dict())
    is_same_V = np.array([True] * 4 + [False] + [True] * 4)  # rows 6 to 8 did not exist
    learner.restore(earlier, is_same_V)
    now = learner.state_dict()
    for part in (
        ("finetuner", "weights", "items.vector_VD", "weight"),
        ("served", "weights", "items.vector_VD"),
        ("tasks", "clicks", "item"),
    ):
        before, after, got = (_inside(state, part) for state in (earlier, later, now))
        assert got[[0, 3, 5]].tolist() == before[[0, 3, 5]].tolist()
        assert got[[4, 6, 8]].tolist() == after[[4, 6, 8]].tolist()
    assert now["finetuner"]["n_rows"]["vector_VD"] == 9
    assert now["finetuner"]["capacity"] == later["finetuner"]["capacity"]


def test_a_learner_taken_back_goes_on_and_resumes_like_any_other():
    learner = trained(2)
    earlier = copy.deepcopy(learner.state_dict())
    trained(2, 2, learner)
    learner.restore(earlier, np.ones(6, np.bool_))
    resumed = learner_of()
    resumed.load_state_dict(copy.deepcopy(learner.state_dict()))
    for one in (learner, resumed):
        one.follow(make_changes(20, recycled=[2]))
        trained(2, 4, one)
    assert_same_bits(resumed.state_dict(), learner.state_dict())


def test_a_truth_value_for_each_item_is_asked_for():
    learner = trained(1)
    with pytest.raises(ValueError, match="expected a truth value for 6 items, got 5"):
        learner.restore(learner.state_dict(), np.ones(5, np.bool_))


def _inside(state: State, path: tuple[str, ...]) -> np.ndarray:
    for name in path:
        state = state[name]
    return np.array(state)


def test_rehearsing_teaches_what_was_taught_and_moves_weights_alone():
    """A cycle over six items, learned from lessons that were told once."""
    learner = learner_of(replay_ratio=1, width=16)
    learner.follow(make_changes(6))
    ends = [*range(6)] * 4
    histories = [[(end - 1) % 6, end] for end in ends]
    lessons = make_lessons(histories, [(end + 1) % 6 for end in ends])
    learner.learn(make_outcomes(lessons))
    before = copy.deepcopy(learner.state_dict())
    for _ in range(40):
        learner.rehearse(lessons)
    asked = make_queries([[5, 0], [2, 3]], n_items=6, k=2)
    assert learner.predict(asked).top_items_BK[:, 0].tolist() == [1, 4]
    after = learner.state_dict()
    for kept in ("content", "replay", "tasks", "n_learned"):
        assert_same_bits(after[kept], before[kept])


def test_a_step_of_rehearsing_holds_as_many_lessons_as_one_of_learning_has_positions():
    learner = learner_of(minibatch=8, replay_ratio=2)
    learner.follow(make_changes(6))
    learner.rehearse(make_lessons([[1]] * 49, [2] * 49))
    assert learner.state_dict()["finetuner"]["n_steps"] == 3


class TestTransformerOfALargeCatalogue(LearnerContract):
    """The catalogue outgrows the exact softmax, and scores at once, while the contract runs."""

    @pytest.fixture(autouse=True)
    def _few_scores_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("learners.scored._MAX_CELLS", 250)

    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of(sampling={"exact_items": 20, "negatives": 16})
        learner.follow(make_changes(12))
        return learner


SAMPLED = {"exact_items": 0, "negatives": 4}


def test_on_a_large_catalogue_it_learns_which_item_follows_which():
    """A cycle of six items among ninety, of which few are scored in a step."""
    learner = learner_of(replay_ratio=1, width=16, sampling={"exact_items": 0, "negatives": 16})
    learner.follow(make_changes(90))
    for step in range(40):
        learner.learn(make_outcomes(a_cycle(step)))
    asked = make_queries([[5, 0], [2, 3]], n_items=90, k=2)
    assert learner.predict(asked).top_items_BK[:, 0].tolist() == [1, 4]


def test_on_a_large_catalogue_items_that_are_not_in_play_stand_still():
    learner = learner_of(sampling=SAMPLED, replay_ratio=0)
    learner.follow(make_changes(500))
    for step in range(4):
        before = np.array(item_table(learner))
        learner.learn(make_outcomes(make_lessons([[step, 7]], [8])))
        has_moved_V = (item_table(learner) != before).any(axis=1)
        assert has_moved_V[[step, 7, 8]].all()
        assert has_moved_V.sum() <= 3 + 4


def test_a_run_on_a_large_catalogue_draws_other_negatives_in_each_step_and_the_same_ones_again():
    def moved(learner: TransformerLearner) -> list[int]:
        before = np.array(item_table(learner))
        learner.learn(make_outcomes(make_lessons([[7]], [8])))
        return np.flatnonzero((item_table(learner) != before).any(axis=1)).tolist()

    runs = []
    for _ in range(2):
        learner = learner_of(sampling=SAMPLED, replay_ratio=0)
        learner.follow(make_changes(500))
        runs.append([moved(learner) for _ in range(3)])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1] != runs[0][2]


def test_lists_on_a_large_catalogue_are_judged_like_on_a_small_one():
    """By the vectors of the rows that they name alone: the click head learns the same."""
    shown = make_shown([[40, 8, -1], [3], [8, 49]], histories=[[45, 3], [], [9]])
    is_clicked_S = np.array([True, False, False, False, True, False])
    states = []
    for exact_items in (0, 100):
        learner = learner_of(sampling={"exact_items": exact_items})
        learner.follow(make_changes(50, described={3: {"title": "red"}}))
        learner.learn(outcomes_of_lists(make_shown_lessons(shown, is_clicked_S)))
        states.append(learner.state_dict()["tasks"]["clicks"])
    for name, value in states[0].items():
        np.testing.assert_allclose(value, states[1][name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_on_a_large_catalogue_a_recycled_row_starts_fresh_and_is_served_at_once():
    learner = learner_of(sampling={"exact_items": 0, "negatives": 16})
    learner.follow(make_changes(6))
    trained(3, learner=learner)
    learner.follow(make_changes(6, recycled=[2]))
    state = learner.state_dict()
    moments = state["finetuner"]["weights"]["items.vector_VD"]
    assert not moments["exp_avg"][2].any()
    assert not moments["exp_avg_sq"][2].any()
    served_VD = learner._served.vectors()
    assert served_VD[2].tolist() == moments["weight"][2].tolist()
    assert not np.allclose(served_VD[1], moments["weight"][1])
    assert 2 not in state["sampler"]["click"]


def test_on_a_large_catalogue_the_plain_running_mean_is_served():
    learner = learner_of(sampling=SAMPLED, replay_ratio=0)
    learner.follow(make_changes(60))
    mean_VD = np.zeros((60, 8))
    for step in range(6):
        learner.learn(make_outcomes(make_lessons([[step % 2, 7]], [8])))
        kept = step / (step + 1)
        mean_VD = kept * mean_VD + (1 - kept) * item_table(learner)
        np.testing.assert_allclose(learner._served.vectors(), mean_VD, rtol=1e-4, atol=1e-5)


def test_weights_of_a_large_catalogue_are_taken_back():
    learner = learner_of(sampling={"exact_items": 0, "negatives": 4})
    learner.follow(make_changes(6))
    trained(3, learner=learner)
    earlier, expected_VD = copy.deepcopy(learner.state_dict()), learner._served.vectors().clone()
    trained(4, 3, learner)
    learner.restore(earlier, np.ones(6, np.bool_))
    torch.testing.assert_close(learner._served.vectors(), expected_VD)


def test_on_a_large_catalogue_the_ranking_is_that_of_all_scores_at_once(monkeypatch):
    learner = learner_of(sampling=SAMPLED)
    learner.follow(make_changes(30))
    queries = make_queries([[1, 2], [], [7], [3, 4]], 30, k=9, seen=[[1, 2], [5], [], [29]])
    at_once = learner.predict(queries).top_items_BK
    monkeypatch.setattr("learners.scored._MAX_CELLS", 70)
    assert learner.predict(queries).top_items_BK.tolist() == at_once.tolist()
    assert not np.isin([1, 2], at_once[0]).any()


def test_each_item_in_play_weighs_in_the_loss_as_much_as_it_stands_for():
    learner = learner_of(replay_ratio=0)
    learner.follow(make_changes(6))
    nothing = no_sequences()

    def loss(*log_weights: float) -> float:
        in_play = InPlay(np.arange(6), np.array(log_weights, np.float32)) if log_weights else None
        return float(learner._loss(make_lessons([[1, 2]], [4]), nothing, in_play).detach())

    assert loss(0, 0, 0, 0, 0, 0) == pytest.approx(loss(), rel=1e-5)
    twice = math.log(2)
    others_twice = loss(twice, twice, twice, twice, 0, twice)
    assert math.expm1(others_twice) == pytest.approx(2 * math.expm1(loss()), rel=1e-4)


def item_table(learner: TransformerLearner) -> np.ndarray:
    return learner.state_dict()["finetuner"]["weights"]["items.vector_VD"]["weight"]
