import numpy as np
import pytest

from stream.sources.shop import START_MS, Shop
from stream.sources.shop_config import SimulatorConfig
from stream.sources.shop_lists import Lists
from stream.sources.shop_records import (
    Arrivals,
    click_records,
    in_order,
    list_records,
    opinion_records,
    profile_records,
    purchase_records,
)
from stream.sources.shop_sequels import Clicks, Opinions, Purchases

ITEM_IDS = ["item-0", "item-1", "item-2"]
CLICKS = Clicks(
    user_N=np.array([7, 8]),
    item_N=np.array([2, 0]),
    ts_N=np.array([100, 200]),
    session_N=np.array([3, 4]),
    request_N=np.array([-1, 5]),
)
LISTS = Lists(
    user_N=np.array([7, 8]),
    ts_N=np.array([50, 60]),
    session_N=np.array([3, 4]),
    policy_N=np.array([0, 1]),
    device_N=np.array([2, 0]),
    item_NK=np.array([[2, 1], [0, -1]]),
    propensity_NK=np.array([[0.5, 0.25], [1.0, 0.0]]),
    probability_NK=np.zeros((2, 2)),
    click_ms_NK=np.zeros((2, 2), np.int64),
    is_clicked_NK=np.zeros((2, 2), np.bool_),
)


def test_records_of_all_kinds_come_by_arrival_and_the_earlier_kind_first():
    kinds = [
        Arrivals(np.array([2, 5]), iter([{"n": "a"}, {"n": "b"}])),
        Arrivals(np.array([], np.int64), iter([])),
        Arrivals(np.array([1, 2, 9]), iter([{"n": "c"}, {"n": "d"}, {"n": "e"}])),
    ]
    assert "".join(record["n"] for record in in_order(kinds)) == "cadbe"


def test_a_list_is_written_up_to_its_end():
    arrivals = list_records(LISTS, ITEM_IDS, LISTS.ts_N)
    assert list(arrivals.records) == [
        {
            "type": "impression",
            "request_id": "request-0",
            "user": "user-7",
            "items": ["item-2", "item-1"],
            "ts": 50,
            "propensities": [0.5, 0.25],
            "policy": "popular_taste",
            "context": {"device": "tablet"},
        },
        {
            "type": "impression",
            "request_id": "request-1",
            "user": "user-8",
            "items": ["item-0"],
            "ts": 60,
            "propensities": [1.0],
            "policy": "random",
            "context": {"device": "phone"},
        },
    ]


def test_a_click_on_a_list_names_it_and_another_does_not():
    unaided, on_a_list = click_records(CLICKS, ITEM_IDS, CLICKS.ts_N).records
    assert unaided == {
        "type": "click",
        "user": "user-7",
        "item": "item-2",
        "ts": 100,
        "session": "session-3",
    }
    assert on_a_list["request_id"] == "request-5"


@pytest.mark.parametrize("make", [list_records, click_records])
def test_what_is_late_comes_late_with_its_own_time(make):
    columns = LISTS if make is list_records else CLICKS
    arrivals = make(columns, ITEM_IDS, columns.ts_N + np.array([500, 0]))
    assert arrivals.ts_N.tolist() == [columns.ts_N[1], columns.ts_N[0] + 500]
    assert [record["user"] for record in arrivals.records] == ["user-8", "user-7"]


def test_a_purchase_names_the_list_of_its_click():
    bought = Purchases(np.array([1, 0]), np.array([900, 950]), np.array([9.5, 20.0]))
    second, first = purchase_records(bought, CLICKS, ITEM_IDS).records
    assert second == {
        "type": "conversion",
        "user": "user-8",
        "item": "item-0",
        "ts": 900,
        "value": 9.5,
        "currency": "EUR",
        "request_id": "request-5",
    }
    assert "request_id" not in first


def test_an_opinion_without_a_value_has_none():
    said = Opinions(
        np.array([0, 1]), np.array([300, 400]), ["like", "dwell"], np.array([np.nan, 7])
    )
    like, dwell = opinion_records(said, CLICKS, ITEM_IDS).records
    assert like == {
        "type": "feedback",
        "user": "user-7",
        "item": "item-2",
        "ts": 300,
        "kind": "like",
    }
    assert (dwell["kind"], dwell["value"]) == ("dwell", 7.0)


def test_a_profile_names_the_two_categories_a_user_wants_most():
    shop = Shop(SimulatorConfig(users=5, items=24))
    [profile] = profile_records(shop, np.array([4]), np.array([START_MS])).records
    taste_C = shop.taste(np.array([4]), np.array([START_MS]))[0]
    best = [shop.category_names[c] for c in np.argsort(taste_C)[:-3:-1]]
    assert profile["text"] == f"interested in {best[0]} and {best[1]}"
