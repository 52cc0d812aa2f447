import numpy as np
import pytest

from stream.sources.shop_config import DAY_MS, START_MS, SimulatorConfig
from stream.sources.shop_situations import DEVICE_SHARES, Situations, session_devices
from stream.sources.simulator import simulate

TASTE = np.full((3, 12), 1 / 12)
TS = START_MS + np.array([0, DAY_MS // 4, DAY_MS // 2])


def wanted(**settings: float) -> np.ndarray:
    return Situations(SimulatorConfig(**settings)).wanted(TASTE, TS, np.array([0, 1, 2]))


def test_without_a_shift_a_taste_is_what_it_was_to_the_bit():
    assert wanted() is TASTE


@pytest.mark.parametrize("settings", [{"device_shift": 0.4}, {"hour_shift": 0.4}])
def test_a_shift_leaves_shares_of_one_and_each_situation_wants_something_else(settings):
    found = wanted(**settings)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert len(set(found.argmax(axis=1).tolist())) == 3
    assert found.min() == pytest.approx(0.6 / 12)


def test_any_device_is_the_mean_of_all_devices():
    situations = Situations(SimulatorConfig(device_shift=0.5))
    each = [situations.wanted(TASTE, TS, np.full(3, device)) for device in range(3)]
    mean = sum(share * one for share, one in zip(DEVICE_SHARES, each, strict=True))
    np.testing.assert_allclose(situations.wanted(TASTE, TS, None), mean)


def test_two_categories_are_enough_for_four_parts_of_a_day():
    situations = Situations(SimulatorConfig(categories=2, hour_shift=1.0))
    found = situations.wanted(np.full((4, 2), 0.5), START_MS + np.arange(4) * DAY_MS // 4, None)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_devices_come_as_often_as_they_do():
    found = np.bincount(session_devices(SimulatorConfig(), 20_000)) / 20_000
    np.testing.assert_allclose(found, DEVICE_SHARES, atol=0.01)


def test_what_is_clicked_goes_with_the_device_that_the_click_names():
    config = SimulatorConfig(clicks=6_000, items=100, device_shift=0.6, requests_per_session=1)
    events = list(simulate(config).events())
    category_of = {e["item"]: e["category"] for e in events if e["type"] == "item"}
    clicks = [e for e in events if e["type"] == "click"]
    counts = {}
    for e in clicks:
        of_device = counts.setdefault(e["context"]["device"], {})
        of_device[category_of[e["item"]]] = of_device.get(category_of[e["item"]], 0) + 1
    favourites = {device: max(found, key=found.get) for device, found in counts.items()}
    assert len(set(favourites.values())) == 3
    for device, favourite in favourites.items():
        assert counts[device][favourite] > 0.3 * sum(counts[device].values())


def test_lists_and_the_clicks_on_them_name_one_device():
    config = SimulatorConfig(clicks=500, items=60, users=30, device_shift=0.3)
    events = list(simulate(config).events())
    device_of = {e["request_id"]: e["context"] for e in events if e["type"] == "impression"}
    clicks = [e for e in events if e["type"] == "click" and "request_id" in e]
    assert clicks
    assert all(e["context"] == device_of[e["request_id"]] for e in clicks)
