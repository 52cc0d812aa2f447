import numpy as np
import pytest

from stream.sources.shop import Shop
from stream.sources.shop_config import ScheduledEvent, SimulatorConfig
from stream.sources.shop_walks import walked

SMALL = SimulatorConfig(clicks=2000, users=50, items=80, days=5, switch_day=2)


@pytest.fixture(scope="module")
def walks():
    return walked(Shop(SMALL))


def test_there_are_as_many_clicks_as_asked_for_in_order_of_time(walks):
    assert len(walks.item_N) == 2000
    assert (np.diff(walks.ts_N) >= 0).all()


def test_a_session_is_one_user_between_its_start_and_its_last_click(walks):
    sessions = walks.sessions
    assert np.array_equal(sessions.user_S[walks.session_N], walks.user_N)
    assert (sessions.start_ms_S[walks.session_N] < walks.ts_N).all()
    last_S = np.zeros(len(sessions.user_S), np.int64)
    np.maximum.at(last_S, walks.session_N, walks.ts_N)
    assert np.array_equal(last_S, sessions.end_ms_S)


@pytest.mark.parametrize(
    "changes",
    [
        {"requests_per_session": 0},
        {"list_items": 3, "exploration_ratio": 1.0, "late_ratio": 0.5},
        {"events": (ScheduledEvent(kind="broken_policy", day=1),)},
        {"events": (ScheduledEvent(kind="tracking_outage", day=1),)},
    ],
)
def test_what_is_shown_and_what_is_recorded_leave_the_walks_alone(walks, changes):
    other = walked(Shop(SMALL.model_copy(update=changes)))
    assert np.array_equal(other.item_N, walks.item_N)
    assert np.array_equal(other.ts_N, walks.ts_N)


def test_items_of_a_catalogue_switch_are_clicked_from_then_on():
    switch = ScheduledEvent(kind="catalogue_switch", day=2, share=0.5)
    walks = walked(Shop(SMALL.model_copy(update={"events": (switch,)})))
    is_new_N = walks.item_N >= 80
    is_later_N = walks.ts_N >= switch.start_ms
    assert not is_new_N[~is_later_N].any()
    assert is_new_N[is_later_N].mean() > 0.15
