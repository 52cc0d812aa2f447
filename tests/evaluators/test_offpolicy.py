"""# N lists, S shown items of those lists end to end"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.offpolicy import OffPolicyConfig, OffPolicyJudge, PlaceRates
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS
from evaluators.windows import WINDOWS, WindowSizes
from stream.targets import Choice, Targets
from stream.values import Matured, Reading, none_matured
from tests.conformance.evaluator_contract import LEARNERS, random_matured
from tests.conformance.stateful_contract import StatefulContract

CHAMPION = LEARNERS[0]
SIZES = WindowSizes(events=20, time_ms=120_000, fade=0.97)
CONFIG = OffPolicyConfig(max_weight=2.0)
BASE_MS = 1_700_000_000_000
NAN = float("nan")


def matured_of(
    *lists: list[bool],
    propensity: list[float],
    choice: Choice | None = None,
    given_of: dict[str, list[float]] | None = None,
    model: list[float] | None = None,
) -> Matured:
    """Lists by their clicks; everything else is told of all items, end to end."""
    given = {name: np.array(told) for name, told in (given_of or {}).items()}
    return Matured(
        ts_N=np.full(len(lists), BASE_MS),
        policy_N=[None] * len(lists),
        starts=np.cumsum([0, *map(len, lists)]),
        is_clicked_S=np.array([clicked for one in lists for clicked in one], np.bool_),
        probability_of={} if model is None else {CHAMPION: np.array(model)},
        targets=Targets(np.array(propensity), choice, given),
    )


def judge_of(*batches: Matured) -> OffPolicyJudge:
    judge = OffPolicyJudge(CHAMPION, CONFIG, SIZES)
    for matured in batches:
        judge.update(matured, BASE_MS)
    return judge


def test_the_weight_of_an_item_is_its_targets_probability_over_its_propensity():
    judge = judge_of(
        matured_of([True, False], propensity=[0.5, 0.2], given_of={"new": [0.25, 0.6]})
    )
    assert judge.reading("ips_ctr", "total", "new") == Reading(0.25, 2)
    assert judge.reading("mean_weight", "total", "new").value == pytest.approx(1.75)
    assert judge.reading("clipped_ips_ctr", "total", "new") == Reading(0.25, 2)
    assert judge.reading("snips_ctr", "total", "new").value == pytest.approx(0.5 / 3.5)
    squares = 0.25 + 9
    effective = judge.reading("effective_samples", "total", "new")
    assert effective.value == pytest.approx(3.5**2 / squares)


def test_each_target_is_judged_as_if_it_were_alone():
    told = {"a": [0.2, NAN, 0.4], "b": [NAN, 0.5, 0.1]}
    clicked, propensity = [[True, False], [True]], [0.5, 0.5, 0.5]
    choice = Choice(np.array([0.1, 0.2, 0.3]))
    both = judge_of(matured_of(*clicked, propensity=propensity, choice=choice, given_of=told))
    assert list(both.policies()) == ["a", "b"]
    for name, figures in both.policies().items():
        alone = judge_of(matured_of(*clicked, propensity=propensity, given_of={name: told[name]}))
        assert alone.policies()[name] == figures
    alone = judge_of(matured_of(*clicked, propensity=propensity, choice=choice))
    assert alone.metrics() == both.metrics()
    assert both.reading("ips_ctr", "total") == Reading(pytest.approx((0.2 + 0.6) / 3), 3)


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, float("inf")])
def test_an_item_whose_propensity_is_none_is_left_out_and_counted(bad):
    matured = matured_of([True, True], propensity=[0.5, bad], given_of={"new": [0.25, 0.5]})
    judge = judge_of(matured)
    assert judge.counts() == {"invalid_propensities": 1}
    assert judge.reading("ips_ctr", "total", "new") == Reading(0.5, 1)


def test_items_are_left_out_for_what_is_missing_or_cannot_be_and_counted():
    choice = Choice(np.array([0.5, NAN, 1.5, 0.5, 0.5]))
    matured = matured_of(
        *([[False] * 5]),
        propensity=[NAN, 0.5, 0.5, 0.5, 0.5],
        choice=choice,
        given_of={"new": [NAN, NAN, NAN, -0.5, 0.5]},
    )
    judge = judge_of(matured)
    # Of a policy that says nothing of an item nothing is missing.
    assert judge.counts() == {"without_propensity": 1, "without_choice": 1, "invalid_targets": 2}
    assert judge.reading("ips_ctr", "total").samples == 2
    assert judge.reading("ips_ctr", "total", "new").samples == 1


def test_without_anybody_asked_about_nothing_exists_and_nothing_is_held():
    silent = replace(matured_of([True], propensity=[0.5]), targets=None)
    judge = judge_of(none_matured(), silent)
    assert (judge.metrics(), judge.policies(), judge.counts()) == ({}, {}, {})
    assert judge.reading("ips_ctr", "total") is None
    assert judge.reading("ips_ctr", "total", "new") is None
    assert judge.state_dict()["windows"]["n_rows"] == 0


def test_without_a_propensity_that_can_be_used_a_figure_is_absent():
    judge = judge_of(matured_of([True], propensity=[NAN], given_of={"new": [0.5]}))
    assert (judge.metrics(), judge.policies()) == ({}, {})


def test_the_model_of_the_champions_policy_are_its_click_probabilities():
    choice = Choice(np.array([0.2, 0.1]), np.array([0.3, 0.25]))
    judge = judge_of(
        matured_of([True, False], propensity=[0.5, 0.5], choice=choice, model=[0.5, 0.125])
    )
    expected = ((0.3 + 0.4 * (1 - 0.5)) + (0.25 + 0.2 * (0 - 0.125))) / 2
    assert judge.reading("dr_ctr", "total").value == pytest.approx(expected)
    assert judge.metrics()["dr_ctr"]["model"] == "clicks"


@pytest.mark.parametrize("bad", [NAN, -0.1, 1.1, float("inf")])
def test_a_model_that_says_no_probability_is_replaced_by_the_rate_of_the_place(bad):
    choice = Choice(np.array([0.2, 0.1]), np.array([0.3, bad]))
    judge = judge_of(
        matured_of([True, False], propensity=[0.5, 0.5], choice=choice, model=[0.5, 0.125])
    )
    rate = PlaceRates().of(np.array([1]))[0]
    expected = ((0.3 + 0.4 * (1 - 0.5)) + (rate + 0.2 * (0 - rate))) / 2
    assert judge.reading("dr_ctr", "total").value == pytest.approx(expected)


def test_a_given_policy_is_judged_by_the_rates_of_places_in_the_lists_before():
    first = matured_of([True, False], propensity=[0.5, 0.5], given_of={"new": [0.5, 0.5]})
    second = matured_of([False, True], propensity=[0.5, 0.5], given_of={"new": [0.25, 0.5]})
    judge = judge_of(first, second)
    rates = PlaceRates()
    before = rates.of(np.array([0, 1]))
    worth = [before + 1.0 * ([1, 0] - before)]
    rates.add(np.array([0, 1]), np.array([True, False]))
    after = rates.of(np.array([0, 1]))
    worth.append(after + np.array([0.5, 1.0]) * ([0, 1] - after))
    value = judge.reading("dr_ctr", "total", "new").value
    assert value == pytest.approx(np.concatenate(worth).mean())
    assert judge.policies()["new"]["dr_ctr"]["model"] == "place"


def test_rates_tend_to_those_that_were_counted_and_places_far_down_share_one():
    rates = PlaceRates()
    place_S = np.repeat([0, 70, 90], 100_000)
    rates.add(place_S, np.arange(300_000) % 100_000 < np.repeat([20_000, 1_000, 3_000], 100_000))
    assert rates.of(np.array([0, 70, 80])) == pytest.approx([0.2, 0.02, 0.02], abs=1e-3)


def test_intervals_and_bounds_stand_beside_what_is_counted():
    rng = np.random.default_rng(0)
    lists = [[bool(clicked)] for clicked in rng.random(15) < 0.6]
    matured = matured_of(*lists, propensity=[0.5] * 15, given_of={"new": rng.random(15).tolist()})
    figures = judge_of(matured).policies()["new"]
    assert set(figures["snips_ctr"]["interval"]) == {"total", "events", "time"}
    assert set(figures["clipped_ips_ctr"]["bounds"]) == {"total", "events", "time"}
    assert "interval" not in figures["effective_samples"]
    for metric in OFF_POLICY_METRICS:
        assert set(figures[metric]["samples"]) == set(WINDOWS)


def test_what_matured_before_its_time_counts_as_of_now():
    early = matured_of([True], propensity=[0.5], given_of={"new": [0.5]})
    early = replace(early, ts_N=early.ts_N + SIZES.time_ms // 2)
    judge = judge_of(early)
    judge.update(none_matured(), BASE_MS + SIZES.time_ms * 3 // 4)
    assert judge.reading("ips_ctr", "time", "new") == Reading(1.0, 1)
    judge.update(none_matured(), BASE_MS + SIZES.time_ms)
    assert judge.reading("ips_ctr", "time", "new") is None


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_a_policy_that_shows_the_lists_itself_has_their_ctr(seed):
    rng = np.random.default_rng(seed)
    matured = random_matured(rng, 12, BASE_MS)
    propensity_S = rng.uniform(0.1, 1, len(matured.is_clicked_S))
    targets = Targets(propensity_S, None, {"itself": propensity_S})
    judge = judge_of(replace(matured, targets=targets))
    ctr = matured.is_clicked_S.mean()
    for metric in ("ips_ctr", "clipped_ips_ctr", "snips_ctr", "dr_ctr"):
        assert judge.reading(metric, "total", "itself").value == pytest.approx(ctr, abs=1e-12)


def test_figures_are_plain_json():
    judge = judge_of(*(random_matured(np.random.default_rng(n), 12, BASE_MS) for n in range(3)))
    told = [judge.metrics(), judge.policies(), judge.counts()]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_rule_is_made_of_a_temperature():
    assert OffPolicyConfig().rule is None
    rule = OffPolicyConfig(temperature=0.5, candidates=30).rule
    assert (rule.temperature, rule.candidates) == (0.5, 30)


class TestOffPolicyJudgeState(StatefulContract):
    make = staticmethod(lambda: OffPolicyJudge(CHAMPION, CONFIG, SIZES))

    @staticmethod
    def drive(judge: OffPolicyJudge, step: int) -> list[object]:
        end_ms = BASE_MS + step * 60_000
        judge.update(random_matured(np.random.default_rng(step), 8, end_ms), end_ms)
        return [judge.metrics(), judge.policies(), judge.counts()]
