from dataclasses import replace

import numpy as np

from stream.id_hash import hash64
from stream.joining.held_clicks import HeldClicks
from stream.values import Clicks
from tests.conformance.stateful_contract import StatefulContract


def clicks_of(*rows: tuple[str, int, str | None], origins: bool = True) -> Clicks:
    """Clicks of (user, ts, request); item, session and origin say where they are from."""
    return Clicks(
        user_B=[user for user, _, _ in rows],
        item_B=[f"{user}'s" for user, _, _ in rows],
        ts_B=np.array([ts for _, ts, _ in rows], np.int64),
        session_B=[f"s{ts}" if request else None for _, ts, request in rows],
        origin_B=[f"f:{ts}" for _, ts, _ in rows] if origins else None,
        request_B=[request for _, _, request in rows],
    )


def none_of(clicks: Clicks) -> np.ndarray:
    return np.zeros(len(clicks), np.bool_)


NO_CLICKS = clicks_of()


def holding(*rows: tuple[str, int, str | None], max_held: int = 100) -> HeldClicks:
    held = HeldClicks(10, max_held)
    clicks = clicks_of(*rows)
    held.hold(clicks, np.arange(len(clicks)))
    held.merged([], clicks, none_of(clicks))
    return held


def test_a_click_keeps_all_its_columns_while_it_is_held():
    held = holding(("ann", 5, "r1"), ("bob", 6, "r2"))
    released = held.merged(held.release(["r2"]), NO_CLICKS, none_of(NO_CLICKS))
    assert released == Clicks(["bob"], ["bob's"], released.ts_B, ["s6"], ["f:6"], ["r2"])
    assert released.ts_B.tolist() == [6]
    assert len(held) == 1


def test_what_a_request_carried_is_held_with_its_click():
    held = HeldClicks(10, 100)
    clicks = replace(clicks_of(("ann", 5, "r1"), ("bob", 6, "r2")), context_B=[{"a": 1.0}, None])
    held.hold(clicks, np.arange(2))
    held.merged([], clicks, none_of(clicks))
    now = clicks_of(("eve", 7, None))
    released = held.merged(held.release(["r1", "r2"]), now, np.array([True]))
    assert released.context_B == [{"a": 1.0}, None, None]


def test_released_clicks_are_merged_by_time_and_those_of_equal_time_by_arrival():
    held = holding(("early", 5, "r1"), ("old", 7, "r1"), ("late", 9, "r1"))
    now = clicks_of(("first", 7, None), ("held", 7, "r2"), ("second", 7, "r1"))
    held.hold(now, np.array([1]))
    places = held.release(["r1"]) + held.release(["r2"])
    merged = held.merged(places, now, np.array([True, False, True]))
    assert merged.user_B == ["early", "old", "first", "held", "second", "late"]
    assert merged.ts_B.tolist() == [5, 7, 7, 7, 7, 9]


def test_clicks_of_unknown_origin_say_so_beside_others():
    held = holding(("ann", 5, "r1"))
    now = clicks_of(("bob", 6, None), origins=False)
    merged = held.merged(held.release(["r1"]), now, np.array([True]))
    assert merged.origin_B == ["f:5", "unknown"]
    assert merged.session_B == ["s5", None]


def test_a_click_is_given_up_after_its_wait_and_with_it_all_of_its_request():
    held = holding(("ann", 5, "r1"), ("eve", 6, "r2"), ("bob", 9, "r1"))
    assert held.give_up(14, is_flowing=True) == ([], [])
    places, requests = held.give_up(15, is_flowing=True)
    assert requests == ["r1"]
    assert held.merged(places, NO_CLICKS, none_of(NO_CLICKS)).user_B == ["ann", "bob"]
    assert len(held) == 1


def test_all_are_given_up_when_no_lists_are_flowing():
    held = holding(("ann", 5, "r1"), ("eve", 6, "r2"))
    assert held.give_up(7, is_flowing=False)[1] == ["r1", "r2"]
    assert len(held) == 0


def test_of_too_many_the_oldest_is_given_up():
    held = holding(("ann", 5, "r1"), ("eve", 6, "r2"), ("bob", 6, "r3"), max_held=1)
    assert held.give_up(7, is_flowing=True)[1] == ["r1", "r2"]
    assert len(held) == 1


def test_the_clicks_of_forgotten_users_are_dropped():
    held = holding(("ann", 5, "r1"), ("bob", 6, "r1"))
    held.forget(np.array([hash64("ann")]))
    assert len(held) == 1
    assert held.merged(held.release(["r1"]), NO_CLICKS, none_of(NO_CLICKS)).user_B == ["bob"]


class TestHeldClicksState(StatefulContract):
    make = staticmethod(lambda: HeldClicks(10, 3))

    @staticmethod
    def drive(obj: HeldClicks, step: int) -> object:
        now = clicks_of(("ann", 6 * step, f"r{step}"), ("bob", 6 * step, None))
        places = obj.release([f"r{step - 3}"])
        obj.hold(now, np.array([0]))
        given_up, requests = obj.give_up(6 * step, is_flowing=True)
        return requests, obj.merged(places + given_up, now, np.array([False, True]))


def test_what_the_request_of_a_held_click_carried_is_kept():
    held, told = HeldClicks(10, 100), {"device": "tv"}
    clicks = replace(clicks_of(("ann", 5, "r1"), ("bob", 6, "r2")), context_B=[told, None])
    held.hold(clicks, np.arange(2))
    held.merged([], clicks, none_of(clicks))
    released = held.merged(held.release(["r1"]), NO_CLICKS, none_of(NO_CLICKS))
    assert released.context_B == [told]
