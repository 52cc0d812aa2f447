import numpy as np
import pytest

from stream.joining.followups import Followups
from stream.joining.pair_chains import pair_keys
from tests.conformance.stateful_contract import StatefulContract

ANN, BOB, ITEM, OTHER = 1, 2, 11, 12


def pair(user: int, item: int) -> int:
    return int(pair_keys(np.array([user]), np.array([item]))[0])


def following(*rows: tuple[int, int, int, str | None], max_pending: int = 100) -> Followups:
    """Clicks of (user, item, ts, request), with a window of 20."""
    followups = Followups(20, max_pending)
    user, item, ts = (np.array([row[n] for row in rows], np.int64) for n in range(3))
    followups.add(user, item, ts, [row[3] for row in rows])
    return followups


def converted(followups: Followups, watermark_ms: int = 1_000) -> list[tuple[int, bool, float]]:
    matured, *_ = followups.mature(watermark_ms)
    columns = matured.ts_N.tolist(), matured.is_converted_N.tolist(), matured.value_N.tolist()
    return list(zip(*columns, strict=True))


def test_a_conversion_joins_the_latest_click_before_it():
    followups = following((ANN, ITEM, 3, None), (ANN, ITEM, 5, None), (ANN, ITEM, 8, None))
    assert followups.convert(pair(ANN, ITEM), 7, None, 1.5)[0] == "joined"
    assert converted(followups) == [(23, False, 0.0), (25, True, 1.5), (28, False, 0.0)]


def test_several_conversions_of_one_click_add_their_values():
    followups = following((ANN, ITEM, 5, None))
    for ts, value in ((7, 1.5), (8, 0.0), (9, 2.0)):
        followups.convert(pair(ANN, ITEM), ts, None, value)
    assert converted(followups) == [(25, True, 3.5)]


def test_a_conversion_that_is_delivered_twice_counts_once():
    followups = following((ANN, ITEM, 5, None))
    assert followups.convert(pair(ANN, ITEM), 7, None, 1.5)[0] == "joined"
    assert followups.convert(pair(ANN, ITEM), 7, None, 1.5)[0] == "repeated"
    assert converted(followups) == [(25, True, 1.5)]


@pytest.mark.parametrize(
    ("user", "item", "ts", "named", "verdict"),
    [
        (ANN, ITEM, 5, None, "joined"),
        (ANN, ITEM, 25, "r1", "joined"),
        (ANN, ITEM, 26, None, "late"),
        (ANN, ITEM, 4, None, "orphan"),
        (ANN, ITEM, 9, "r2", "orphan"),
        (ANN, ITEM, 26, "r2", "orphan"),
        (ANN, OTHER, 9, None, "orphan"),
        (BOB, ITEM, 9, None, "orphan"),
    ],
)
def test_a_conversion_meets_a_click_in_time_or_says_why_not(user, item, ts, named, verdict):
    followups = following((ANN, ITEM, 5, "r1"))
    assert followups.convert(pair(user, item), ts, named, 1.0)[0] == verdict


def test_a_conversion_passes_by_a_click_of_another_request():
    followups = following((ANN, ITEM, 3, None), (ANN, ITEM, 5, "r1"))
    assert followups.convert(pair(ANN, ITEM), 7, "r2", 1.0)[0] == "joined"
    assert converted(followups) == [(23, True, 1.0), (25, False, 0.0)]


def test_clicks_mature_when_their_window_has_passed_by_time_and_arrival():
    followups = following((ANN, ITEM, 5, None), (BOB, ITEM, 9, None))
    followups.add(np.array([BOB]), np.array([OTHER]), np.array([3]), None)
    followups.convert(pair(BOB, OTHER), 4, None, 1.0)
    assert converted(followups, 24) == [(23, True, 1.0)]
    assert converted(followups, 25) == [(25, False, 0.0)]
    assert len(followups) == 1


def test_a_click_that_has_matured_is_not_known_any_more():
    followups = following((ANN, ITEM, 5, None))
    followups.mature(25)
    assert followups.convert(pair(ANN, ITEM), 25, None, 1.0)[0] == "orphan"
    assert not followups.has_click(pair(ANN, ITEM), 25)


def test_of_too_many_clicks_the_oldest_mature_early():
    followups = following(
        (ANN, ITEM, 5, None), (BOB, ITEM, 6, None), (BOB, OTHER, 9, None), max_pending=1
    )
    matured, _, n_early = followups.mature(10)
    assert matured.ts_N.tolist() == [10, 10]
    assert n_early == 2
    assert followups.has_click(pair(BOB, OTHER), 9)


def test_clicks_of_forgotten_users_are_dropped():
    followups = following((ANN, ITEM, 5, None), (BOB, ITEM, 6, None))
    followups.forget(np.array([ANN]))
    assert not followups.has_click(pair(ANN, ITEM), 7)
    assert converted(followups) == [(26, False, 0.0)]


def test_clicks_are_found_after_others_were_cleared_away():
    ts = np.arange(4_000)
    followups = Followups(2_000, 10_000)
    followups.add(ts % 7, ts, ts, None)
    followups.has_click(pair(0, 0), 1)
    followups.mature(5_500)
    followups.add(np.array([ANN]), np.array([9_999]), np.array([5_500]), None)
    assert [
        int(n) for n in (3_600, 9_999, 3_400) if followups.has_click(pair(n % 7, n), 5_500)
    ] == [3_600]
    assert followups.has_click(pair(ANN, 9_999), 5_500)


class TestFollowupsState(StatefulContract):
    make = staticmethod(lambda: Followups(20, 3))

    @staticmethod
    def drive(obj: Followups, step: int) -> object:
        ts = np.array([6 * step, 6 * step + 1])
        obj.add(np.array([ANN, BOB]), np.array([ITEM, step]), ts, [f"r{step}", None])
        verdict = obj.convert(pair(ANN, ITEM), 6 * step + 2, f"r{step - step % 2}", 1.0)
        return verdict, obj.mature(6 * step)
