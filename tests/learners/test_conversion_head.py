import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from learners.conversion_head import (
    PRIOR_CONVERSION_RATIO,
    ClickedItems,
    ConversionHead,
    conversion_answers,
)
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

ALWAYS = 1e12
N_ITEMS, N_SHOWN = 20, 200


def logistic(logit_S: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit_S))


def log_loss(p_S: np.ndarray, yes_S: np.ndarray) -> float:
    return float(-np.log(np.where(yes_S, p_S, 1 - p_S)).mean())


class World:
    """Items shown; what matches is clicked more often, and converts more often still."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._item_logit_V = self._rng.normal(0, 0.7, N_ITEMS)

    def batch(self) -> tuple[np.ndarray, ...]:
        """Rows, match, true probabilities of a click and of its conversion, and what came."""
        rng = self._rng
        item_S, match_S = rng.integers(0, N_ITEMS, N_SHOWN), rng.normal(0, 1, N_SHOWN)
        click_S = logistic(-2.5 + 1.0 * match_S)
        convert_S = logistic(-1.5 + 0.8 * match_S + self._item_logit_V[item_S])
        is_clicked_S = rng.random(N_SHOWN) < click_S
        is_converted_S = is_clicked_S & (rng.random(N_SHOWN) < convert_S)
        return item_S, match_S, click_S, convert_S, is_clicked_S, is_converted_S


def clicked_items(
    item_S: np.ndarray,
    match_S: np.ndarray,
    clicks_S: np.ndarray | float = 1.0,
    is_converted: bool = False,
    position: int = 1,
) -> ClickedItems:
    n = len(item_S)
    return ClickedItems(
        torch.from_numpy(np.asarray(match_S, np.float64)[:, None]),
        np.asarray(item_S, np.int32),
        np.full(n, position, np.int32),
        np.broadcast_to(clicks_S, n).astype(np.float64),
        np.full(n, is_converted),
    )


def together(*told: ClickedItems) -> ClickedItems:
    return ClickedItems(
        torch.cat([one.features_SF for one in told]),
        *(
            np.concatenate([getattr(one, name) for one in told])
            for name in ("item_S", "position_S", "clicks_S", "is_converted_S")
        ),
    )


def head_of(memory: float = 300.0) -> ConversionHead:
    head = ConversionHead(1, memory)
    head.follow(make_changes(N_ITEMS))
    return head


def told_by(head: ConversionHead, item_S: np.ndarray, match_S: np.ndarray) -> np.ndarray:
    one = clicked_items(item_S, match_S)
    return head.probabilities(one.features_SF, one.item_S, one.position_S)


def learned(space: str, factor: float = 1.0, delay: int = 3, n_batches: int = 300) -> np.ndarray:
    """Of batches behind the first 100, in rows: `World.batch`'s last four, below two more.

    The first are the click probabilities that were given, and what the head told. Conversions
    come `delay` batches after their clicks; click probabilities are wrong by `factor`.
    """
    head, world, later, found = head_of(), World(), [], []
    for step in range(n_batches):
        item_S, match_S, click_S, convert_S, is_clicked_S, is_converted_S = world.batch()
        given_S = factor * click_S
        if step >= 100:
            told_S = told_by(head, item_S, match_S)
            found.append([given_S, told_S, click_S, convert_S, is_clicked_S, is_converted_S])
        counted_S = given_S if space == "entire" else is_clicked_S
        lessons = [clicked_items(item_S, match_S, counted_S)]
        later.append(clicked_items(item_S[is_converted_S], match_S[is_converted_S], 1.0, True))
        if len(later) > delay:
            lessons.append(later.pop(0))
        head.learn(together(*lessons))
    return np.concatenate(np.array(found, np.float64), axis=1)


@pytest.mark.parametrize("space", ["entire", "clicked"])
def test_what_would_convert_is_known_of_items_that_are_not_clicked_too(space):
    _, told_S, _, convert_S, is_clicked_S, is_converted_S = learned(space)
    for chosen in (is_clicked_S > 0, is_clicked_S == 0):
        assert told_S[chosen].sum() / convert_S[chosen].sum() == pytest.approx(1.0, abs=0.05)
        assert np.corrcoef(told_S[chosen], convert_S[chosen])[0, 1] > 0.9
    chosen = is_clicked_S > 0
    base = np.full(int(chosen.sum()), is_converted_S[chosen].mean())
    yes = is_converted_S[chosen] > 0
    best = log_loss(convert_S[chosen], yes)
    assert log_loss(told_S[chosen], yes) < log_loss(base, yes) - 0.8 * (log_loss(base, yes) - best)


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_over_the_entire_space_as_many_convert_as_are_expected_though_click_probabilities_be_wrong(
    factor,
):
    given_S, told_S, *_, is_converted_S = learned("entire", factor)
    assert (given_S * told_S).sum() / is_converted_S.sum() == pytest.approx(1.0, abs=0.1)
    given_S, told_S, *_, is_converted_S = learned("clicked", factor)
    assert (given_S * told_S).sum() / is_converted_S.sum() == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_over_clicked_items_the_click_probabilities_do_not_matter(factor):
    _, told_S, _, convert_S, is_clicked_S, _ = learned("clicked", factor)
    chosen = is_clicked_S > 0
    assert told_S[chosen].sum() / convert_S[chosen].sum() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("delay", [0, 20])
def test_conversions_that_come_late_teach_the_rates_that_early_ones_teach(delay):
    _, told_S, _, convert_S, is_clicked_S, _ = learned("entire", delay=delay)
    chosen = is_clicked_S > 0
    assert told_S[chosen].sum() / convert_S[chosen].sum() == pytest.approx(1.0, abs=0.06)


def test_negatives_that_wait_for_their_window_while_conversions_do_not_would_teach_nonsense():
    """Why clicks are presumed not to convert at once: so it would be for a window's length."""
    head, world = head_of(), World()
    for _ in range(30):
        item_S, match_S, *_, is_converted_S = world.batch()
        chosen = is_converted_S
        head.learn(clicked_items(item_S[chosen], match_S[chosen], 1.0, is_converted=True))
    assert told_by(head, item_S, match_S).mean() > 0.9


def test_clicks_that_are_known_teach_what_scikit_learn_learns():
    head, (n, rng) = head_of(ALWAYS), (5_000, np.random.default_rng(3))
    match_S, on_list_S = rng.normal(0, 1, n), rng.integers(0, 2, n)
    yes_S = rng.random(n) < logistic(-1.0 + 0.7 * match_S - 0.6 * on_list_S)
    nobody = np.full(n, -1)
    known = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000)
    known.fit(np.stack([on_list_S, match_S], axis=1), yes_S)
    # A presumption weighs 1 - v: over many small steps it and its conversion make a known answer.
    for part in np.array_split(np.arange(n), 100):
        head.learn(
            together(
                *(
                    clicked_items(
                        nobody[rows], match_S[rows], 1.0, is_converted, int(on_list_S[rows][0])
                    )
                    for is_list in (0, 1)
                    for is_converted in (False, True)
                    if len(
                        rows := part[
                            (on_list_S[part] == is_list) & (yes_S[part] | (not is_converted))
                        ]
                    )
                )
            )
        )
    for on_list in (0, 1):
        asked = np.linspace(-1.5, 1.5, 7)
        one = clicked_items(np.full(7, -1), asked, position=on_list)
        told = head.probabilities(one.features_SF, one.item_S, one.position_S)
        expected = known.predict_proba(np.stack([np.full(7, on_list), asked], axis=1))[:, 1]
        np.testing.assert_allclose(told, expected, atol=0.03)


def test_a_presumption_and_the_conversions_that_come_make_the_gradient_of_the_likelihood():
    """Of c v over what was shown: at any v, expected over what becomes of it."""
    c, true, told = 0.1, 0.3, 0.2
    clicks_S, is_converted_S = np.array([c, 1.0]), np.array([False, True])
    answers = conversion_answers(clicks_S, is_converted_S, np.array([told, told]))
    surprise_S, _ = answers.against(torch.logit(torch.tensor([told, told], dtype=torch.float64)))
    presumed, converted = surprise_S.tolist()
    yes, no = 1 - told, -c * told * (1 - told) / (1 - c * told)  # of log(c v), of log(1 - c v)
    stays = 1 - c * told
    assert presumed == pytest.approx(stays * no)
    assert presumed + c * true * converted == pytest.approx(stays * no + c * true * yes)
    assert presumed + c * told * converted == pytest.approx(0.0)


def test_an_untrained_head_says_so_and_answers_the_prior():
    head = head_of()
    assert not head.is_taught
    np.testing.assert_allclose(
        told_by(head, np.array([0, -1]), np.zeros(2)), PRIOR_CONVERSION_RATIO
    )
    head.learn(clicked_items(np.zeros(0), np.zeros(0)))
    assert not head.is_taught
    head.learn(clicked_items(np.array([1]), np.zeros(1)))
    assert head.is_taught


def test_the_place_does_not_matter_but_whether_there_is_one_does():
    head = head_of()
    for _ in range(5):
        head.learn(clicked_items([1] * 9, [0.0] * 9, 1.0, is_converted=True, position=0))
        head.learn(clicked_items([1] * 9, [0.0] * 9, 1.0, position=7))
    features_SF = torch.zeros(3, 1, dtype=torch.float64)
    none, first, far = head.probabilities(features_SF, np.full(3, 2), np.array([0, 1, 50]))
    assert none > first == far


def test_a_recycled_row_is_any_item_again():
    head = head_of()
    head.learn(clicked_items([1] * 30 + [2] * 30, [0.0] * 60))
    head.follow(make_changes(N_ITEMS, recycled=[1]))
    known, fresh, new = told_by(head, np.array([2, 1, 5]), np.zeros(3))
    assert known < fresh == new


def test_a_shorter_memory_follows_a_change_sooner():
    def late(memory: float, forgetting: float = 1.0) -> float:
        head = head_of(memory)
        for converts in (True, False):
            for _ in range(40 if converts else 5):
                head.learn(clicked_items([3] * 20, [0.0] * 20), forgetting)
                if converts:
                    head.learn(clicked_items([3] * 10, [0.0] * 10, 1.0, True), forgetting)
        return float(told_by(head, np.array([3]), np.zeros(1))[0])

    assert late(1000.0) > 1.3 * late(50.0)
    assert late(300.0, forgetting=6.0) == late(50.0)


class TestConversionHeadState(StatefulContract):
    @staticmethod
    def make() -> ConversionHead:
        return ConversionHead(1, 300.0)

    @staticmethod
    def drive(obj: ConversionHead, step: int) -> np.ndarray:
        rng = np.random.default_rng(step)
        n_items = 4 + 3 * step
        obj.follow(make_changes(n_items, recycled=[step] if step else []))
        items, matches = rng.integers(-1, n_items, 12), rng.normal(0, 1, 12)
        told_S = told_by(obj, items, matches)
        obj.learn(together(clicked_items(items, matches), clicked_items([0], [0.0], 1.0, True)))
        return told_S
