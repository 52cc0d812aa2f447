import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from learners.click_features import N_FEATURES
from learners.shown_tasks import ShownTasks, TasksConfig
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.conversions import ConversionLessons
from stream.values import Outcomes, Shown, ShownLessons
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits, is_same
from tests.learners.shown_lists import make_shown, make_shown_lessons
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

N_ITEMS = 6


def learner_of(**settings: object) -> TransformerLearner:
    config = {"width": 8, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}
    learner = TransformerLearner(TransformerConfig.model_validate(config | settings))
    learner.follow(make_changes(N_ITEMS))
    return learner


def features_of(shown: Shown) -> torch.Tensor:
    """Figures that depend on the item alone."""
    rng = np.random.default_rng(5)
    of_items = rng.normal(0, 1, (N_ITEMS + 1, N_FEATURES))
    return torch.from_numpy(of_items[shown.item_S])


def tasks_of(**settings: object) -> ShownTasks:
    tasks = ShownTasks(TasksConfig.model_validate(settings), 300.0, N_FEATURES)
    tasks.follow(make_changes(N_ITEMS))
    return tasks


def alone(rows: list[int], position: int, histories: list[list[int]] | None = None) -> Shown:
    """Items, each in a list of its own."""
    return make_shown([[row] for row in rows], histories, [position] * len(rows))


def outcomes_of(
    *lists: ShownLessons,
    plain: list[int] | None = None,
    converted: list[int] | None = None,
    lessons: object = None,
) -> Outcomes:
    told = []
    if plain:
        told.append(ConversionLessons(alone(plain, 0), False))
    if converted:
        told.append(ConversionLessons(alone(converted, 1), True))
    outcomes = make_outcomes(make_lessons([], []) if lessons is None else lessons)
    return replace(outcomes, shown_lessons=lists, conversion_lessons=tuple(told))


def list_of(clicked: list[bool], **settings: bool) -> ShownLessons:
    lessons = make_shown_lessons(make_shown([[0, 1, 2]]), clicked)
    return replace(lessons, **({"tells_conversions": True} | settings))


def conversions_told(tasks: ShownTasks) -> np.ndarray | None:
    shown = make_shown([list(range(N_ITEMS))], positions=[1] * N_ITEMS)
    return tasks.probabilities(features_of(shown), shown)[1]


def after(outcomes: Outcomes, **settings: object) -> np.ndarray | None:
    tasks = tasks_of(**settings)
    tasks.learn(outcomes, features_of, 1.0)
    return conversions_told(tasks)


def test_nothing_is_said_of_conversions_before_anything_is_told_of_them():
    assert after(outcomes_of(list_of([True, False, False], tells_conversions=False))) is None
    for outcomes in (outcomes_of(list_of([True, False, False])), outcomes_of(plain=[1])):
        told_V = after(outcomes)
        assert told_V is not None
        assert told_V.shape == (N_ITEMS,)


def test_over_the_entire_space_what_was_clicked_does_not_matter_and_over_clicked_items_it_does():
    some, none = (outcomes_of(list_of([True, False, is_clicked])) for is_clicked in (True, False))
    assert_same_bits(after(some), after(none))
    assert not is_same(
        after(some, conversion_space="clicked"), after(none, conversion_space="clicked")
    )


def test_an_item_counts_as_a_click_as_far_as_it_was_likely_to_be_one():
    """Told before the answer of its list is learned: an untrained head says 5 % of each."""
    shown = make_shown([[0, 1, 2]] * 20)
    one_list_clicked = np.array([True] * 3 + [False] * 57)
    lists = [
        replace(make_shown_lessons(shown, is_clicked_S), tells_conversions=True)
        for is_clicked_S in (np.zeros(60, np.bool_), one_list_clicked)
    ]
    # Twenty lists at 5 % are one list of clicks.
    np.testing.assert_allclose(
        after(outcomes_of(lists[0]), conversion_space="entire"),
        after(outcomes_of(lists[1]), conversion_space="clicked"),
    )


def test_clicks_that_correct_a_list_count_as_clicks_and_not_a_second_time_as_shown():
    first = list_of([False] * 3, is_presumed=True)
    again = replace(first, is_clicked_S=np.ones(3, np.bool_), is_presumed=False, is_repeated=True)
    assert_same_bits(after(outcomes_of(first, again)), after(outcomes_of(first)))
    settings = {"conversion_space": "clicked"}
    assert_same_bits(
        after(outcomes_of(first, again), **settings),
        after(outcomes_of(list_of([True] * 3)), **settings),
    )


def test_conversions_of_either_space_raise_what_is_told_of_their_items():
    for space in ("entire", "clicked"):
        lists = [list_of([True, True, False])] * 10
        before = after(outcomes_of(*lists), conversion_space=space)
        told_V = after(outcomes_of(*lists, converted=[0] * 10), conversion_space=space)
        assert told_V[0] > 2 * before[0]
        assert np.argmax(told_V / before) == 0


def test_clicks_and_conversions_are_learned_in_one_step():
    together = after(outcomes_of(plain=[1, 2], converted=[1]))
    tasks = tasks_of()
    tasks.learn(outcomes_of(plain=[1, 2]), features_of, 1.0)
    tasks.learn(outcomes_of(converted=[1]), features_of, 1.0)
    assert not np.allclose(together, conversions_told(tasks), rtol=1e-3)


def test_lessons_are_dealt_to_the_steps_and_none_is_lost():
    tasks = tasks_of(clicks=1.0, conversions=1.0)
    lists = [list_of([True, False, False])] * 5
    dealt = tasks.for_encoder(outcomes_of(*lists, plain=[1], converted=[2]), 3)
    assert [len(step) for step in dealt] == [3, 2, 2]
    assert tasks_of().for_encoder(outcomes_of(*lists, plain=[1]), 2) == [[], []]
    only_clicks = tasks_of(clicks=1.0).for_encoder(outcomes_of(*lists, plain=[1]), 1)
    assert [type(one) for one in only_clicks[0]] == [ShownLessons] * 5


def test_a_loss_is_the_weighted_sum_of_mean_losses():
    tasks = tasks_of(clicks=2.0, conversions=3.0)
    lists, sold = list_of([True, False, False]), ConversionLessons(alone([4], 1), True)
    loss = float(tasks.loss([replace(lists, tells_conversions=False), sold], features_of))
    of_clicks = -(np.log(0.05) + 2 * np.log(0.95)) / 3
    assert loss == pytest.approx(2.0 * of_clicks - 3.0 * np.log(0.05))
    told = float(tasks.loss([lists], features_of))
    counted = 3 * 0.05 * 0.95  # of three items, presumed: less than one click in all
    assert told == pytest.approx(2.0 * of_clicks - 3.0 * counted * np.log(0.95))
    assert float(tasks.loss([], features_of)) == 0.0


def test_the_gradient_of_a_loss_reaches_the_features_and_no_head():
    tasks = tasks_of(clicks=1.0, conversions=1.0)
    before = copy.deepcopy(tasks.state_dict())
    shown = make_shown([[0, 1, 2]])
    features_SF = features_of(shown).requires_grad_()
    tasks.learn(outcomes_of(list_of([True, False, True]), converted=[2]), features_of, 1.0)
    after_learning = copy.deepcopy(tasks.state_dict())
    tasks.loss([list_of([True, False, False])], lambda _: features_SF).backward()
    assert features_SF.grad is not None
    assert features_SF.grad.abs().sum() > 0
    assert_same_bits(tasks.state_dict(), after_learning)
    assert not is_same(after_learning, before)


def a_world(step: int) -> Outcomes:
    """Clicks that follow a cycle; of what is shown the next two are clicked, the second is sold."""
    rng = np.random.default_rng(step)
    ends = rng.integers(0, N_ITEMS, 8)
    histories = [[(end - 1) % N_ITEMS, int(end)] for end in ends.tolist()]
    shown = make_shown([list(range(N_ITEMS))] * 8, histories)
    ahead_S = (shown.item_S - np.repeat(ends, N_ITEMS)) % N_ITEMS
    is_clicked_S = (ahead_S == 1) | (ahead_S == 2)
    lists = replace(make_shown_lessons(shown, is_clicked_S), tells_conversions=True)
    sold = alone([(end + 2) % N_ITEMS for end in ends.tolist()], 1, histories)
    lessons = make_lessons(histories, [(end + 1) % N_ITEMS for end in ends.tolist()])
    return replace(
        make_outcomes(lessons),
        shown_lessons=(lists,),
        conversion_lessons=(ConversionLessons(sold, True),),
    )


def encoder(learner: TransformerLearner) -> object:
    state = learner.state_dict()
    return {name: copy.deepcopy(state[name]) for name in ("finetuner", "served", "replay")}


def test_without_weights_conversions_and_lists_leave_the_encoder_bit_for_bit():
    taught, untaught = learner_of(), learner_of()
    for step in range(3):
        taught.learn(a_world(step))
        untaught.learn(make_outcomes(a_world(step).lessons))
    assert_same_bits(encoder(taught), encoder(untaught))
    assert taught.state_dict()["tasks"]["conversions"]["is_taught"]


@pytest.mark.parametrize("task", ["clicks", "conversions"])
@pytest.mark.parametrize("exact_items", [0, 100])
def test_a_weight_lets_a_loss_into_the_encoder_and_goes_down_it(task, exact_items):
    """Judged by the loss itself, on lists that are not learned from."""
    losses = []
    for weight in (0.0, 5.0):
        learner = learner_of(
            tasks={task: weight},
            dropout=0.0,
            replay_ratio=0,
            average_decay=0.0,
            sampling={"exact_items": exact_items, "negatives": 16},
        )
        for step in range(40):
            learner.learn(a_world(step))
        judge = ShownTasks(TasksConfig.model_validate({task: 1.0}), 300.0, N_FEATURES)
        judge.load_state_dict(copy.deepcopy(learner.state_dict()["tasks"]))
        unseen = a_world(999)
        with torch.no_grad():
            told = [*unseen.shown_lessons, *unseen.conversion_lessons]
            losses.append(float(judge.loss(told, learner._features)))
    assert losses[1] < 0.97 * losses[0]


def test_a_batch_of_lists_without_clicks_moves_no_encoder():
    learner = learner_of(tasks={"clicks": 1.0, "conversions": 1.0})
    learner.learn(a_world(0))
    before = encoder(learner)
    learner.learn(replace(a_world(1), lessons=make_lessons([], [])))
    assert_same_bits(encoder(learner), before)


def test_an_estimate_does_not_depend_on_the_answers_of_its_own_batch():
    learners = [learner_of(), learner_of()]
    for step in range(4):
        shown = a_world(step).shown_lessons[0].shown
        queries = replace(make_queries([], n_items=N_ITEMS), shown=shown)
        told = [learner.predict(queries).conversion_probability_S for learner in learners]
        assert_same_bits(told[0], told[1])
        outcomes = a_world(step)
        for learner in learners:
            learner.learn(outcomes if step < 3 or learner is learners[0] else a_world(7))
    assert not is_same(*(learner.predict(queries).conversion_probability_S for learner in learners))


def test_a_recycled_row_loses_the_conversions_of_its_past():
    learner = learner_of()
    learner.learn(outcomes_of(plain=[1, 2], converted=[1] * 20))
    learner.follow(make_changes(N_ITEMS, recycled=[1]))
    state = learner.state_dict()["tasks"]["conversions"]["beliefs"]
    assert state["item"][1] == 0.0 != state["item"][2]
    assert state["item_precision"][1] == state["item_precision"][5]


def test_what_is_believed_of_conversions_is_taken_back():
    learner = learner_of()
    learner.learn(a_world(0))
    earlier = copy.deepcopy(learner.state_dict())
    learner.learn(a_world(1))
    learner.restore(earlier, np.ones(N_ITEMS, np.bool_))
    assert_same_bits(learner.state_dict()["tasks"], earlier["tasks"])


@pytest.mark.parametrize("key", ["clicks", "conversions"])
def test_a_weight_is_not_negative(key):
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        TasksConfig(**{key: -0.1})


class TestShownTasksState(StatefulContract):
    make = staticmethod(tasks_of)

    @staticmethod
    def drive(obj: ShownTasks, step: int) -> object:
        obj.learn(outcomes_of(list_of([True, False, False]), plain=[step % 6]), features_of, 1.0)
        obj.learn(outcomes_of(converted=[step % 3]), features_of, 1.0)
        obj.follow(make_changes(N_ITEMS, recycled=[step % 6]))
        return conversions_told(obj)


class TestTransformerTaughtByTasks(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of(tasks={"clicks": 0.5, "conversions": 0.5})
        learner.follow(make_changes(12))
        return learner


class TestTransformerOfALargeCatalogueTaughtByTasks(LearnerContract):
    @staticmethod
    def make() -> TransformerLearner:
        learner = learner_of(
            tasks={"clicks": 0.5, "conversions": 0.5, "conversion_space": "clicked"},
            sampling={"exact_items": 20, "negatives": 16},
        )
        learner.follow(make_changes(12))
        return learner
