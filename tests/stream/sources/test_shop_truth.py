import collections

import numpy as np
import pytest

from stream.sources.shop import DAY_MS, START_MS, Shop
from stream.sources.shop_config import ScheduledEvent, SimulatorConfig
from stream.sources.shop_lists import shown_lists
from stream.sources.shop_truth import truth_records
from stream.sources.shop_walks import walked

EVENTS = (
    ScheduledEvent(kind="tracking_outage", day=2, days=0.5, share=0.75),
    ScheduledEvent(kind="broken_policy", day=1, days=0.5),
    ScheduledEvent(kind="catalogue_switch", day=3, share=0.5),
    ScheduledEvent(kind="taste_shift", day=3.5, days=0.5, share=0.2),
)
CONFIG = SimulatorConfig(
    clicks=10_000, users=300, items=200, days=5, switch_day=1, events=EVENTS, seed=6
)


@pytest.fixture(scope="module")
def shown():
    shop = Shop(CONFIG)
    return shop, shown_lists(shop, walked(shop).sessions)


@pytest.fixture(scope="module")
def truth(shown):
    by_type = collections.defaultdict(list)
    for record in truth_records(*shown):
        by_type[record["type"]].append(record)
    return by_type


def test_every_scheduled_event_is_told_with_its_times_and_share(truth):
    told = [
        (fact["kind"], (fact["ts"] - START_MS) / DAY_MS, (fact["ts_end"] - START_MS) / DAY_MS)
        for fact in truth["scheduled"]
    ]
    assert told == [
        ("broken_policy", 1, 1.5),
        ("taste_shift", 1, 2),
        ("tracking_outage", 2, 2.5),
        ("catalogue_switch", 3, 3),
        ("taste_shift", 3.5, 4),
    ]
    assert [fact["share"] for fact in truth["scheduled"]] == [1, 0.3, 0.75, 0.5, 0.2]


def test_each_kind_of_fact_comes_in_order_of_time(truth):
    for facts in truth.values():
        ts = [fact.get("ts", 0) for fact in facts]
        assert ts == sorted(ts)
    assert set(truth) == {
        *("scheduled", "switch", "launch", "retirement", "category_day", "examination"),
        "ctr_hour",
    }


def test_who_switches_is_told_for_every_shift(truth):
    days = [(fact["ts"] - START_MS) / DAY_MS for fact in truth["switch"]]
    first, second = (sum(low <= day < high for day in days) for low, high in ((1, 2), (3.5, 4)))
    assert first + second == len(days)
    assert 0.2 * 300 < first < 0.4 * 300
    assert second == 0.2 * 300
    for fact in truth["switch"]:
        assert fact["from"] == max(fact["taste_before"], key=fact["taste_before"].get)
        assert fact["to"] == max(fact["taste_after"], key=fact["taste_after"].get)


def test_demand_moves_with_a_taste_shift(truth):
    share = np.array([list(fact["share"].values()) for fact in truth["category_day"]])
    moved = np.abs(np.diff(share, axis=0)).sum(axis=1) / 2
    # From the noon of the day before to that of the day of the shift, and to that of the next.
    assert moved[[0, 1, 3]].min() > 3 * moved[2]


def test_a_catalogue_switch_is_told_as_retirements_and_launches(truth):
    at_ms = START_MS + 3 * DAY_MS
    gone, new = (sum(fact["ts"] == at_ms for fact in truth[k]) for k in ("retirement", "launch"))
    assert gone == new > 50


def test_the_examination_of_each_position_is_told(truth):
    told = [(fact["position"], fact["probability"]) for fact in truth["examination"]]
    assert told == [(k, pytest.approx(k**-0.6, abs=1e-6)) for k in range(1, 11)]


def test_the_ctr_of_an_hour_is_that_of_its_lists(shown, truth):
    _, lists = shown
    told = {fact["ts"]: fact for fact in truth["ctr_hour"]}
    assert sum(fact["requests"] for fact in told.values()) == len(lists)
    start_ms = START_MS + 18 * 3_600_000
    rows = (lists.ts_N >= start_ms) & (lists.ts_N < start_ms + 3_600_000)
    assert told[start_ms]["requests"] == rows.sum() > 20
    assert told[start_ms]["shown"] == 10 * rows.sum()
    assert told[start_ms]["ctr"] == pytest.approx(lists.probability_NK[rows].mean(), abs=1e-6)
    any_N = 1 - (1 - lists.probability_NK[rows]).prod(axis=1)
    assert told[start_ms]["request_ctr"] == pytest.approx(any_N.mean(), abs=1e-6)


def test_the_policies_of_an_hour_add_up_to_it(truth):
    for fact in truth["ctr_hour"]:
        for name in ("requests", "shown", "expected_clicks", "expected_clicked_requests"):
            parts = [policy[name] for policy in fact["by_policy"].values()]
            assert sum(parts) == pytest.approx(fact[name], abs=1e-5)
    names = {name for fact in truth["ctr_hour"] for name in fact["by_policy"]}
    assert names == {"popular_taste", "random"}


def ctr_between(facts, first_day, last_day, policy):
    parts = [
        fact["by_policy"][policy]
        for fact in facts
        if first_day <= (fact["ts"] - START_MS) / DAY_MS < last_day and policy in fact["by_policy"]
    ]
    return sum(part["expected_clicks"] for part in parts) / sum(part["shown"] for part in parts)


def test_the_ctr_of_the_shops_policy_falls_in_its_broken_hours_alone(truth):
    facts = truth["ctr_hour"]
    sound = ctr_between(facts, 0, 1, "popular_taste")
    assert ctr_between(facts, 1, 1.5, "popular_taste") < 0.2 * sound
    assert ctr_between(facts, 1.5, 2, "popular_taste") > 0.6 * sound
    assert ctr_between(facts, 1, 1.5, "random") > 0.7 * ctr_between(facts, 0, 1, "random")


def test_the_ctr_falls_by_the_share_that_an_outage_loses(shown, truth):
    _, lists = shown
    hour_ms = START_MS + 2 * DAY_MS + 8 * 3_600_000
    rows = (lists.ts_N >= hour_ms) & (lists.ts_N < hour_ms + 3_600_000)
    [fact] = [fact for fact in truth["ctr_hour"] if fact["ts"] == hour_ms]
    assert rows.any()
    # Every click of this hour lies within the outage.
    assert fact["ctr"] == pytest.approx(0.25 * lists.probability_NK[rows].mean(), abs=1e-6)


def test_without_lists_nothing_is_told_of_them(shown):
    types = {record["type"] for record in truth_records(shown[0], None)}
    assert types == {"scheduled", "switch", "launch", "retirement", "category_day"}
