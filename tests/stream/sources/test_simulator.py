import collections
import itertools
import json

import msgspec
import numpy as np
import pytest
import zstandard

from stream.decoding import EventDecoder
from stream.sources.shop import DAY_MS, NEVER_MS, START_MS
from stream.sources.simulator import ScheduledEvent, SimulatorConfig, simulate, write_simulation
from stream.values import DeadLetter

SMALL = SimulatorConfig(clicks=2000, users=50, items=80, days=5, switch_day=2)


@pytest.fixture(scope="module")
def simulation():
    return simulate(SimulatorConfig(seed=1))


@pytest.fixture(scope="module")
def events(simulation):
    return list(simulation.events())


@pytest.fixture(scope="module")
def truth(simulation):
    by_type = collections.defaultdict(list)
    for record in simulation.truth():
        by_type[record["type"]].append(record)
    return by_type


@pytest.fixture(scope="module")
def clicks(events):
    """Clicks that no list led to."""
    return [event for event in events if event["type"] == "click" and "request_id" not in event]


@pytest.fixture(scope="module")
def lists(events):
    return {event["request_id"]: event for event in events if event["type"] == "impression"}


@pytest.fixture(scope="module")
def clicks_on_lists(events):
    return [event for event in events if event["type"] == "click" and "request_id" in event]


@pytest.fixture(scope="module")
def category_of(events):
    return {event["item"]: event["category"] for event in events if event["type"] == "item"}


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    first = write_simulation(SMALL, tmp_path / "first")
    second = write_simulation(SMALL, tmp_path / "second")
    assert first.events.read_bytes() == second.events.read_bytes()
    assert first.truth.read_bytes() == second.truth.read_bytes()


def test_another_seed_gives_other_clicks():
    other = SMALL.model_copy(update={"seed": 1})
    assert list(simulate(SMALL).events()) != list(simulate(other).events())


def test_the_files_hold_the_events_and_the_truth(tmp_path):
    paths = write_simulation(SMALL, tmp_path / "new" / "folder")
    with zstandard.open(paths.events, "rt", encoding="utf-8") as file:
        assert [json.loads(line) for line in file] == list(simulate(SMALL).events())
    with paths.truth.open(encoding="utf-8") as file:
        assert [json.loads(line) for line in file] == list(simulate(SMALL).truth())


def test_every_event_is_decoded_without_a_dead_letter(events):
    lines = [msgspec.json.encode(event) for event in events]
    decoded = EventDecoder().decode_lines(lines, lambda i, why: DeadLetter(str(i), why, lines[i]))
    types = collections.Counter(type(event).__name__ for event in decoded)
    assert types.total() == len(events)
    assert types["DeadLetter"] == 0
    assert 68_000 < types["Click"] < 74_000
    assert 22_000 < types["Impression"] < 26_000
    assert 3500 < types["Conversion"] < 5500
    assert 6000 < types["Feedback"] < 8000
    assert types["Item"] == 1000
    assert 800 < types["User"] < 1100


def test_without_requests_nothing_but_the_same_clicks_is_recorded(clicks):
    alone = list(simulate(SimulatorConfig(seed=1, requests_per_session=0)).events())
    assert [event for event in alone if event["type"] == "click"] == clicks
    assert {event["type"] for event in alone} == {"click", "item", "user"}


def test_events_come_in_order_of_time_within_the_days(events):
    ts = np.array([event["ts"] for event in events])
    assert (np.diff(ts) >= 0).all()
    assert ts[0] == START_MS
    assert ts[-1] < START_MS + 14 * DAY_MS


def test_an_item_is_announced_before_it_is_shown_or_clicked(events):
    known = set()
    for event in events:
        if event["type"] == "item":
            known.add(event["item"])
        elif event["type"] in ("click", "conversion", "feedback"):
            assert event["item"] in known
        elif event["type"] == "impression":
            assert known.issuperset(event["items"])


def test_a_profile_comes_before_all_else_of_its_user(events):
    seen = set()
    n_profiles = 0
    for event in events:
        if event["type"] == "user":
            n_profiles += 1
            assert event["user"] not in seen
        elif "user" in event:
            seen.add(event["user"])
    assert n_profiles == len({event["user"] for event in events if event["type"] == "user"})


def test_no_item_is_clicked_before_its_launch_or_from_its_retirement_on(
    clicks, clicks_on_lists, truth
):
    launch = {record["item"]: record["ts"] for record in truth["launch"]}
    retirement = {record["item"]: record["ts"] for record in truth["retirement"]}
    assert len(retirement) > 100
    assert sum(ts > START_MS for ts in launch.values()) > 200
    for click in clicks + clicks_on_lists:
        assert launch[click["item"]] <= click["ts"] < retirement.get(click["item"], 2**62)


def test_retired_items_were_clicked_before(clicks, truth):
    clicked = {click["item"] for click in clicks}
    retired = [record["item"] for record in truth["retirement"]]
    assert sum(item in clicked for item in retired) / len(retired) > 0.9


def share_by_category(clicks, category_of):
    counts = collections.Counter(category_of[click["item"]] for click in clicks)
    return {category: n / len(clicks) for category, n in counts.items()}


@pytest.mark.parametrize("side", ["before", "after"])
def test_clicks_of_switching_users_match_their_taste(clicks, truth, category_of, side):
    switch_of = {record["user"]: record for record in truth["switch"]}
    assert len(switch_of) > 500
    own = [
        click
        for click in clicks
        if (switch := switch_of.get(click["user"]))
        and (click["ts"] < switch["ts"]) == (side == "before")
    ]
    assert len(own) > 5000
    clicked = share_by_category(own, category_of)
    for category in truth["switch"][0]["taste_after"]:
        wanted = np.mean([switch_of[click["user"]][f"taste_{side}"][category] for click in own])
        assert abs(clicked[category] - wanted) < 0.025


@pytest.mark.parametrize(("side", "favourite"), [("before", "from"), ("after", "to")])
def test_users_click_their_favourite_until_they_switch(clicks, truth, category_of, side, favourite):
    switch_of = {record["user"]: record for record in truth["switch"]}
    hits = [
        category_of[click["item"]] == switch[favourite]
        for click in clicks
        if (switch := switch_of.get(click["user"]))
        and (click["ts"] < switch["ts"]) == (side == "before")
    ]
    assert 0.5 < np.mean(hits) < 0.7


def test_categories_are_clicked_as_often_as_the_truth_says(clicks, truth, category_of):
    for record in truth["category_day"]:
        of_day = [click for click in clicks if (click["ts"] - START_MS) // DAY_MS == record["day"]]
        clicked = share_by_category(of_day, category_of)
        for category, share in record["share"].items():
            assert abs(clicked[category] - share) < 0.035


def test_interest_migrates_on_the_day_of_the_switch(truth):
    share = [list(record["share"].values()) for record in truth["category_day"]]
    moved = np.abs(np.diff(np.array(share), axis=0)).sum(axis=1) / 2
    assert set(np.argsort(moved)[-2:]) == {7, 8}
    assert moved[[7, 8]].sum() > 0.05


def test_the_next_item_of_a_series_is_the_likeliest_next_click(simulation, clicks):
    items = simulation.shop.items
    is_always_sold_V = (items.launch_ms_V == START_MS) & (items.retire_ms_V == NEVER_MS)
    sessions = collections.defaultdict(list)
    for click in clicks:
        sessions[click["session"]].append(int(click["item"].removeprefix("item-")))
    steps = [step for walk in sessions.values() for step in itertools.pairwise(walk)]
    assert np.mean([items.successor_V[previous] == item for previous, item in steps]) > 0.3
    following = collections.defaultdict(collections.Counter)
    for previous, item in steps:
        following[previous][item] += 1
    likeliest = {
        previous: counts.most_common(1)[0][0]
        for previous, counts in following.items()
        if counts.total() >= 30
        and items.successor_V[previous] >= 0
        and is_always_sold_V[items.successor_V[previous]]
    }
    assert len(likeliest) > 150
    assert np.mean([items.successor_V[p] == item for p, item in likeliest.items()]) > 0.98


def test_a_session_has_one_user_and_its_times_increase(clicks):
    last = {}
    for click in clicks:
        user, ts = last.get(click["session"], (click["user"], -1))
        assert user == click["user"]
        assert ts < click["ts"]
        last[click["session"]] = (click["user"], click["ts"])
    assert 10_000 < len(last) < 15_000


def test_evenings_are_busier_than_nights(clicks):
    hours = collections.Counter(click["ts"] // 3_600_000 % 24 for click in clicks)
    assert sum(hours[h] for h in range(16, 20)) > 5 * sum(hours[h] for h in range(3, 7))


def test_popularity_is_skewed(clicks):
    counts = sorted(collections.Counter(click["item"] for click in clicks).values(), reverse=True)
    assert sum(counts[:100]) / len(clicks) > 0.4


@pytest.mark.parametrize("n_clicks", [1, 2, 7, 100])
def test_small_numbers_of_clicks_are_met_exactly(n_clicks):
    config = SimulatorConfig(clicks=n_clicks, users=1, items=2, categories=2, days=1)
    events = list(simulate(config).events())
    assert sum(event["type"] == "click" and "request_id" not in event for event in events) == (
        n_clicks
    )
    lists = [event for event in events if event["type"] == "impression"]
    assert lists
    assert all(len(shown["items"]) == 2 for shown in lists)


def test_every_list_has_its_own_request(events, lists):
    assert len(lists) == sum(event["type"] == "impression" for event in events)


def test_lists_hold_distinct_items_each_with_its_propensity(lists):
    for shown in lists.values():
        assert len(shown["items"]) == len(set(shown["items"])) == len(shown["propensities"]) == 10
        assert all(0 < propensity <= 1 for propensity in shown["propensities"])


def test_a_click_on_a_list_is_on_an_item_of_it_within_half_an_hour_and_once(lists, clicks_on_lists):
    clicked = set()
    for click in clicks_on_lists:
        shown = lists[click["request_id"]]
        assert click["user"] == shown["user"]
        assert click["item"] in shown["items"]
        assert 0 < click["ts"] - shown["ts"] < 1_800_000
        clicked.add((click["request_id"], click["item"]))
    assert len(clicked) == len(clicks_on_lists) > 5000


def test_a_click_on_a_list_is_part_of_the_visit_that_saw_it(clicks, clicks_on_lists):
    user_of = {click["session"]: click["user"] for click in clicks}
    assert all(user_of[click["session"]] == click["user"] for click in clicks_on_lists)


def of_policy(lists, policy):
    return {request for request, shown in lists.items() if shown["policy"] == policy}


@pytest.mark.parametrize("policy", ["popular_taste", "random"])
def test_clicks_on_lists_are_as_many_as_the_truth_expects_of_each_policy(
    lists, clicks_on_lists, truth, policy
):
    facts = [fact["by_policy"].get(policy, {}) for fact in truth["ctr_hour"]]
    expected = sum(fact.get("expected_clicks", 0) for fact in facts)
    requests = of_policy(lists, policy)
    assert sum(fact.get("requests", 0) for fact in facts) == len(requests)
    n_clicks = sum(click["request_id"] in requests for click in clicks_on_lists)
    # The variance of a sum of rare events is about its mean, and never more.
    assert abs(n_clicks - expected) < 3 * np.sqrt(expected)


def test_clicks_on_lists_are_as_many_as_the_truth_expects_hour_by_hour(
    lists, clicks_on_lists, truth
):
    n_clicks = collections.Counter(
        lists[click["request_id"]]["ts"] // 3_600_000 for click in clicks_on_lists
    )
    busy = [fact for fact in truth["ctr_hour"] if fact["expected_clicks"] > 10]
    z = [
        (n_clicks[fact["ts"] // 3_600_000] - fact["expected_clicks"])
        / np.sqrt(fact["expected_clicks"])
        for fact in busy
    ]
    assert len(busy) > 150
    assert np.abs(z).max() < 5
    assert 0.8 < np.std(z) < 1.1


def test_lists_with_a_click_are_as_many_as_the_truth_expects(clicks_on_lists, truth):
    expected = sum(fact["expected_clicked_requests"] for fact in truth["ctr_hour"])
    n_clicked = len({click["request_id"] for click in clicks_on_lists})
    assert abs(n_clicked - expected) < 3 * np.sqrt(expected)


def test_a_conversion_follows_a_click_and_names_its_list(events):
    first_ts = {}
    n_on_lists = 0
    for event in events:
        key = (event.get("user"), event.get("item"), event.get("request_id"))
        if event["type"] == "click":
            first_ts.setdefault(key, event["ts"])
        elif event["type"] == "conversion":
            assert first_ts[key] < event["ts"]
            assert (event["value"] > 0, event["currency"]) == (True, "EUR")
            n_on_lists += "request_id" in event
    assert n_on_lists > 300


def test_feedback_follows_a_click(events):
    clicked = {(e["user"], e["item"]) for e in events if e["type"] == "click"}
    said = [event for event in events if event["type"] == "feedback"]
    assert all((event["user"], event["item"]) in clicked for event in said)
    kinds = collections.Counter(event["kind"] for event in said)
    assert set(kinds) == {"dwell", "like", "dislike", "rating"}
    assert min(kinds.values()) > 500


OUTAGE = ScheduledEvent(kind="tracking_outage", day=1, days=2, share=0.6)


def events_by_type(config):
    by_type = collections.defaultdict(list)
    for event in simulate(config).events():
        by_type[event["type"]].append(event)
    return by_type


def test_an_outage_loses_clicks_and_nothing_else():
    whole = events_by_type(SMALL)
    lossy = events_by_type(SMALL.model_copy(update={"events": (OUTAGE,)}))
    for kind in ("impression", "conversion", "feedback", "item", "user"):
        assert lossy[kind] == whole[kind]
    during = [click for click in whole["click"] if OUTAGE.start_ms <= click["ts"] < OUTAGE.end_ms]
    kept = [click for click in lossy["click"] if OUTAGE.start_ms <= click["ts"] < OUTAGE.end_ms]
    outside = [click for click in whole["click"] if click not in during]
    assert [click for click in lossy["click"] if click not in kept] == outside
    assert [click for click in during if click in kept] == kept
    assert abs(len(kept) - 0.4 * len(during)) < 3 * np.sqrt(0.24 * len(during))


def test_recorded_clicks_of_an_outage_are_as_many_as_the_truth_expects():
    simulation = simulate(SimulatorConfig(seed=4, clicks=20_000, events=(OUTAGE,)))
    shown = {e["request_id"]: e["ts"] for e in simulation.events() if e["type"] == "impression"}
    n_clicks = sum(
        OUTAGE.start_ms <= shown[event["request_id"]] < OUTAGE.end_ms
        for event in simulation.events()
        if event["type"] == "click" and "request_id" in event
    )
    expected = sum(
        fact["expected_clicks"]
        for fact in simulation.truth()
        if fact["type"] == "ctr_hour" and OUTAGE.start_ms <= fact["ts"] < OUTAGE.end_ms
    )
    assert expected > 100
    assert abs(n_clicks - expected) < 3 * np.sqrt(expected)


def test_a_share_of_lists_and_clicks_arrives_late_and_nothing_is_lost():
    late = SMALL.model_copy(update={"late_ratio": 0.2})
    in_time, arrived = (list(simulate(config).events()) for config in (SMALL, late))
    assert sorted(map(str, arrived)) == sorted(map(str, in_time))
    latest_ms = 0
    behind_ms = collections.defaultdict(list)
    for event in arrived:
        latest_ms = max(latest_ms, event["ts"])
        behind_ms[event["type"]].append(latest_ms - event["ts"])
    for kind in ("click", "impression"):
        assert 0.05 < np.mean(np.array(behind_ms[kind]) > 0) < 0.3
        assert 60_000 < max(behind_ms[kind]) <= 300_000


def test_some_clicks_overtake_their_list_when_things_come_late():
    arrived = set()
    n_overtaking = 0
    for event in simulate(SMALL.model_copy(update={"late_ratio": 0.2})).events():
        if event["type"] == "impression":
            arrived.add(event["request_id"])
        elif event["type"] == "click" and "request_id" in event:
            n_overtaking += event["request_id"] not in arrived
    assert n_overtaking > 10
