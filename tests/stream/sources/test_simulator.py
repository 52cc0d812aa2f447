import collections
import itertools
import json

import msgspec
import numpy as np
import pytest
import zstandard

from stream.events import Event
from stream.sources.shop import DAY_MS, NEVER_MS, START_MS
from stream.sources.simulator import SimulatorConfig, simulate, write_simulation

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
    return [event for event in events if event["type"] == "click"]


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


def test_every_event_is_valid(events):
    decoder = msgspec.json.Decoder(Event)
    decoded = [decoder.decode(msgspec.json.encode(event)) for event in events]
    types = collections.Counter(type(event).__name__ for event in decoded)
    assert types["Click"] == 60_000
    assert types["Item"] == 1000
    assert 800 < types["User"] < 1100


def test_events_come_in_order_of_time_within_the_days(events):
    ts = np.array([event["ts"] for event in events])
    assert (np.diff(ts) >= 0).all()
    assert ts[0] == START_MS
    assert ts[-1] < START_MS + 14 * DAY_MS


def test_an_item_is_announced_before_its_first_click(events):
    known = set()
    for event in events:
        if event["type"] == "item":
            known.add(event["item"])
        elif event["type"] == "click":
            assert event["item"] in known


def test_a_profile_comes_before_the_first_click_of_its_user(events):
    clicked = set()
    n_profiles = 0
    for event in events:
        if event["type"] == "user":
            n_profiles += 1
            assert event["user"] not in clicked
        elif event["type"] == "click":
            clicked.add(event["user"])
    assert n_profiles == len({event["user"] for event in events if event["type"] == "user"})


def test_no_item_is_clicked_before_its_launch_or_from_its_retirement_on(clicks, truth):
    launch = {record["item"]: record["ts"] for record in truth["launch"]}
    retirement = {record["item"]: record["ts"] for record in truth["retirement"]}
    assert len(retirement) > 100
    assert sum(ts > START_MS for ts in launch.values()) > 200
    for click in clicks:
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
    assert sum(event["type"] == "click" for event in simulate(config).events()) == n_clicks
