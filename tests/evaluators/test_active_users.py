import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.active_users import DAY_HOURS, HOUR_MS, WEEK_HOURS, ActiveUsers
from stream.values import Reading
from tests.conformance.stateful_contract import StatefulContract

# Of each update: hours that pass, and visits as (user, hours ago).
UPDATES = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 200)), max_size=6),
    ),
    max_size=12,
)


@given(UPDATES)
@settings(max_examples=100, deadline=None)
def test_few_users_are_counted_exactly(updates):
    users, visits, hour = ActiveUsers(exact_users=10), [], 0
    for hours, came in updates:
        hour += hours
        at = [(user, hour - ago) for user, ago in came if ago <= hour]
        user_N = np.array([user for user, _ in at], np.int64)
        ts_N = np.array([one * HOUR_MS for _, one in at], np.int64)
        users.update(user_N, ts_N, hour * HOUR_MS)
        visits += [(user, min(one, hour)) for user, one in at if one > hour - WEEK_HOURS]
    for n_hours in (DAY_HOURS, WEEK_HOURS):
        recent = [user for user, one in visits if one > hour - n_hours]
        expected = Reading(float(len(set(recent))), len(recent)) if recent else None
        assert users.reading(n_hours) == expected


def test_more_users_than_fit_are_estimated():
    rng = np.random.default_rng(0)
    users, counted = ActiveUsers(exact_users=100), ActiveUsers(exact_users=10_000)
    for hour in range(40):
        user_N = rng.integers(-(2**63), 2**63, 200)
        for one in (users, counted):
            one.update(user_N, np.full(200, hour * HOUR_MS), hour * HOUR_MS)
    assert (users.is_exact, counted.is_exact) == (False, True)
    for n_hours in (DAY_HOURS, WEEK_HOURS):
        estimated, exact = users.reading(n_hours), counted.reading(n_hours)
        assert estimated.value == pytest.approx(exact.value, rel=0.06)
        assert estimated.samples == exact.samples


def test_users_of_weeks_ago_make_room():
    users = ActiveUsers(exact_users=10)
    for week in range(5):
        users.update(
            np.arange(10) + 10 * week, np.full(10, 8 * 24 * week * HOUR_MS), 192 * week * HOUR_MS
        )
    assert users.is_exact
    assert users.reading(WEEK_HOURS).value == 10.0
    assert len(users.state_dict()["user_U"]) <= 10


def test_a_forgotten_user_is_not_counted_and_may_come_back():
    users = ActiveUsers(exact_users=10)
    users.update(np.array([1, 2]), np.zeros(2, np.int64), 0)
    users.forget(np.array([2, 3]))
    assert users.reading(DAY_HOURS).value == 1.0
    users.update(np.array([2]), np.zeros(1, np.int64), 0)
    assert users.reading(DAY_HOURS).value == 2.0


class TestActiveUsersState(StatefulContract):
    make = staticmethod(lambda: ActiveUsers(exact_users=12))

    @staticmethod
    def drive(users: ActiveUsers, step: int) -> object:
        rng = np.random.default_rng(step)
        hour = 30 * step
        users.update(rng.integers(0, 9 + step, 5), np.full(5, hour * HOUR_MS), hour * HOUR_MS)
        return [users.reading(DAY_HOURS), users.reading(WEEK_HOURS), users.is_exact]
