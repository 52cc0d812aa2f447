"""The transformer where inputs are declared: who asks matters, and nothing else changes."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.asker_values import Askers
from stream.input_settings import InputsConfig
from stream.values import Contexts, Lessons, Queries
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.learners.shown_lists import make_shown, make_shown_lessons, outcomes_of_lists
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

INPUTS = InputsConfig.model_validate(
    {
        "context": {"device": "category", "load": "number"},
        "profile": {"words": 2},
        "token_buckets": 16,
    }
)
SMALL = {"width": 8, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}


def learner_of(inputs: InputsConfig = INPUTS, **settings: object) -> TransformerLearner:
    learner = TransformerLearner(TransformerConfig.model_validate(SMALL | settings), inputs)
    learner.follow(make_changes(12))
    return learner


def said(
    contexts: Contexts, token_CX: list[list[int]], load_C: list[float] | None = None
) -> Contexts:
    """The contexts, with who asks: two words, a device, a load."""
    number_CF = np.array(load_C or [0.0] * len(token_CX), np.float32).reshape(-1, 1)
    return replace(contexts, askers=Askers(np.array(token_CX, np.int32).reshape(-1, 3), number_CF))


def asking(histories: list[list[int]], token_CX: list[list[int]], k: int = 1) -> Queries:
    queries = make_queries(histories, n_items=12, k=k)
    return replace(queries, contexts=said(queries.contexts, token_CX))


def teaching(histories: list[list[int]], targets: list[int], token_CX: list[list[int]]) -> Lessons:
    lessons = make_lessons(histories, targets)
    return replace(lessons, contexts=said(lessons.contexts, token_CX))


class TestTransformerThatReadsInputs(LearnerContract):
    """With contexts that say nothing of who asks, as if nobody were known."""

    make = staticmethod(learner_of)


def drive(learner: TransformerLearner, step: int) -> None:
    rng = np.random.default_rng(step)
    token_CX = rng.integers(-1, 16, (12, 3)).tolist()
    histories = [rng.integers(0, 12, n % 5).tolist() for n in range(12)]
    lessons = make_lessons(histories, rng.integers(0, 12, 12).tolist(), users=list(range(12)))
    load = rng.normal(size=12).tolist()
    lessons = replace(lessons, contexts=said(lessons.contexts, token_CX, load))
    learner.learn(make_outcomes(lessons))
    learner.follow(make_changes(12, [step % 12] if step % 2 else [], [step] if step == 3 else []))


def test_a_user_without_a_click_is_served_by_profile_and_by_request():
    learner = learner_of(replay_ratio=1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        words, device = rng.integers(0, 2, 12), rng.integers(2, 4, 12)
        token_CX = [[int(w), -1, int(d)] for w, d in zip(words, device, strict=True)]
        targets = [int(3 * w + (d - 2)) for w, d in zip(words, device, strict=True)]
        learner.learn(make_outcomes(teaching([[]] * 12, targets, token_CX)))
    told = [[w, -1, d] for w in (0, 1) for d in (2, 3)]
    found = learner.predict(asking([[]] * 4, told)).top_items_BK[:, 0].tolist()
    assert found == [0, 1, 3, 4]


def test_numbers_matter_too():
    learner = learner_of(replay_ratio=1)
    for step in range(60):
        load = np.random.default_rng(step).choice([-1.0, 1.0], 12)
        lessons = make_lessons([[]] * 12, [int(one > 0) for one in load])
        contexts = said(lessons.contexts, [[-1] * 3] * 12, load.tolist())
        learner.learn(make_outcomes(replace(lessons, contexts=contexts)))
    queries = make_queries([[], []], n_items=12, k=1)
    queries = replace(queries, contexts=said(queries.contexts, [[-1] * 3] * 2, [-1.0, 1.0]))
    assert learner.predict(queries).top_items_BK[:, 0].tolist() == [0, 1]


def test_who_asks_is_replayed_with_the_sequence():
    """Once learned, a device is not unlearned by what is replayed beside other lessons."""
    learner = learner_of(replay_ratio=4)
    for _ in range(30):
        learner.learn(make_outcomes(teaching([[]] * 8, [1, 2] * 4, [[-1, -1, 5], [-1, -1, 6]] * 4)))
    for _ in range(30):
        learner.learn(make_outcomes(teaching([[3]] * 4, [4] * 4, [[-1] * 3] * 4)))
    found = learner.predict(asking([[], []], [[-1, -1, 5], [-1, -1, 6]])).top_items_BK
    assert found[:, 0].tolist() == [1, 2]


def test_queries_of_one_history_are_ranked_by_who_asks():
    learner = learner_of()
    for _ in range(60):
        drive_ranking(learner)
    token_CX = [[1, -1, 2], [-1, -1, -1], [1, -1, 3]]
    together = learner.predict(asking([[]] * 3, token_CX, k=12)).top_items_BK
    for tokens, expected in zip(token_CX, together.tolist(), strict=True):
        assert learner.predict(asking([[]], [tokens], k=12)).top_items_BK.tolist() == [expected]
    assert len({tuple(row) for row in together.tolist()}) > 1


@pytest.mark.parametrize("settings", [{}, {"sampling": {"exact_items": 5, "negatives": 4}}])
def test_runs_repeat_and_resume_bit_for_bit(settings):
    unbroken, again = learner_of(**settings), learner_of(**settings)
    for step in range(6):
        drive(unbroken, step)
        drive(again, step)
    assert_same_bits(unbroken.state_dict(), again.state_dict())
    for cut in range(1, 6):
        first, resumed = learner_of(**settings), learner_of(**settings)
        for step in range(cut):
            drive(first, step)
        resumed.load_state_dict(copy.deepcopy(first.state_dict()))
        for step in range(cut, 6):
            drive(resumed, step)
        assert_same_bits(resumed.state_dict(), unbroken.state_dict())


def test_a_rollback_takes_back_what_was_learned_of_who_asks():
    learner = learner_of()
    for step in range(3):
        drive(learner, step)
    saved = copy.deepcopy(learner.state_dict())
    before = learner.score(asking([[1]], [[1, 2, 3]])).total()
    for step in range(3, 6):
        drive(learner, step)
    learner.restore(saved, np.ones(12, bool))
    for part in ("finetuner", "served"):
        now, then = learner.state_dict()[part]["weights"], saved[part]["weights"]
        assert is_same(
            {name: one for name, one in now.items() if name.startswith("askers.")},
            {name: one for name, one in then.items() if name.startswith("askers.")},
        )
    assert learner.score(asking([[1]], [[1, 2, 3]])).total() == before


def test_the_replay_of_a_forgotten_user_holds_nothing_of_who_it_was():
    learner = learner_of()
    lessons = teaching([[1], [2]], [3, 4], [[5, 5, 5], [6, 6, 6]])
    learner.learn(make_outcomes(replace(lessons, user_M=np.array([1, 2]))))
    assert (learner.state_dict()["replay"]["token"] == 5).any()
    learner.follow(make_changes(12, forgotten=[1]))
    kept = learner.state_dict()["replay"]["token"]
    assert not (kept == 5).any()
    assert (kept == 6).any()


def test_a_declaration_without_askers_costs_no_click_and_declaring_nothing_no_weight():
    names = TransformerLearner(TransformerConfig.model_validate(SMALL)).state_dict()
    assert not [name for name in names["finetuner"]["weights"] if name.startswith("askers")]
    fresh, plain = learner_of(), learner_of(InputsConfig())
    queries = make_queries([[1, 2], []], n_items=12, k=12)
    assert_same_bits(fresh.predict(queries), plain.predict(queries))


def test_clicks_on_lists_are_told_apart_by_who_asked():
    learner = learner_of(click_memory=1_000)
    for _ in range(40):
        drive_ranking(learner)
    for _ in range(40):
        shown = make_shown([[0], [1], [0], [1]], [[]] * 4)
        by = [[-1, -1, 2], [-1, -1, 2], [-1, -1, 3], [-1, -1, 3]]
        shown = replace(shown, contexts=said(shown.contexts, by))
        is_clicked_S = np.array([True, False, False, True])
        learner.learn(outcomes_of_lists(make_shown_lessons(shown, is_clicked_S)))
    asked = replace(make_queries([], n_items=12, k=1), shown=shown)
    p_S = learner.predict(asked).click_probability_S
    assert p_S is not None
    assert min(p_S[[0, 3]]) > max(p_S[[1, 2]]) + 0.05


def drive_ranking(learner: TransformerLearner) -> None:
    """On device 2 item 0 is clicked, on device 3 item 1."""
    learner.learn(make_outcomes(teaching([[]] * 4, [0, 1] * 2, [[-1, -1, 2], [-1, -1, 3]] * 2)))
