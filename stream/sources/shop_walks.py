"""What users of the simulated shop click without being shown anything.

# S sessions, L longest session, N clicks

A session is a walk: from a click to the next item of its series, to another item of its
category, or to whatever the user's taste at that moment brings up. All three leave the mix of
categories as the taste has it; only the order can be learned from the walk.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from stream.sources.shop import Shop
from stream.sources.shop_config import DAY_MS, START_MS, Draws, SimulatorConfig, generator
from stream.sources.shop_situations import session_devices
from stream.values import Int64s

# What the next click of a session is; the rest follows the user's taste afresh.
_SUCCESSOR_SHARE = 0.5
_SAME_CATEGORY_SHARE = 0.2
_MEAN_SESSION_CLICKS = 5
_MAX_SESSION_CLICKS = 20
_MEAN_GAP_MS = 40_000
_MAX_GAP_MS = 300_000
# Sessions begin early enough to end within the last day.
_LONGEST_SESSION_MS = _MAX_SESSION_CLICKS * _MAX_GAP_MS


@dataclass(frozen=True, slots=True)
class Sessions:
    """Visits, numbered as their clicks number them; each ends with its last click."""

    user_S: Int64s
    start_ms_S: Int64s
    end_ms_S: Int64s


@dataclass(frozen=True, slots=True)
class Walks:
    """Clicks in order of time, and the sessions that they make up."""

    user_N: Int64s
    item_N: Int64s
    ts_N: Int64s
    session_N: Int64s
    sessions: Sessions


def walked(shop: Shop) -> Walks:
    """All sessions at once, one step after the other.

    Examples
    --------
    >>> walks = walked(Shop(SimulatorConfig(clicks=100, users=3, items=24)))
    >>> len(walks.item_N), bool((np.diff(walks.ts_N) >= 0).all())
    (100, True)
    """
    rng = generator(shop.config, Draws.WALKS)
    length_S = _session_lengths(shop.config.clicks, rng)
    n_sessions = len(length_S)
    activity_ends_U = np.cumsum(shop.users.activity_U)
    user_S = np.searchsorted(activity_ends_U[:-1], rng.random(n_sessions), side="right")
    gap_SL = np.minimum(rng.exponential(_MEAN_GAP_MS, (n_sessions, length_S.max())), _MAX_GAP_MS)
    start_ms_S = _session_starts(shop.config, n_sessions, rng)
    # A whole millisecond at least, so that a session's own clicks never share a time.
    ts_SL = start_ms_S[:, None] + np.cumsum(1 + gap_SL.astype(np.int64), axis=1)
    item_SL = np.full(ts_SL.shape, -1)
    device_S = session_devices(shop.config, n_sessions)
    for step in range(ts_SL.shape[1]):
        active = np.flatnonzero(length_S > step)
        user, ts = user_S[active], ts_SL[active, step]
        device = device_S[active]
        if step == 0:
            category = shop.draw_categories(user, ts, rng, device)
            item_SL[active, step] = shop.draw_items(category, ts, rng)
        else:
            previous, by = item_SL[active, step - 1], (user, ts, device)
            item_SL[active, step] = _next_items(shop, previous, by, rng)
    session_N, step_N = np.nonzero(item_SL >= 0)
    ts_N = ts_SL[session_N, step_N]
    order_N = np.argsort(ts_N, kind="stable")
    session_N, step_N = session_N[order_N], step_N[order_N]
    return Walks(
        user_N=user_S[session_N],
        item_N=item_SL[session_N, step_N],
        ts_N=ts_N[order_N],
        session_N=session_N,
        sessions=Sessions(user_S, start_ms_S, ts_SL[np.arange(n_sessions), length_S - 1]),
    )


def _session_lengths(n_clicks: int, rng: Generator) -> Int64s:
    """Lengths that add up to the clicks wanted."""
    # One click at least a session: there are never more sessions than clicks.
    drawn = np.minimum(rng.geometric(1 / _MEAN_SESSION_CLICKS, n_clicks), _MAX_SESSION_CLICKS)
    ends = np.cumsum(drawn)
    n_sessions = int(np.searchsorted(ends, n_clicks)) + 1
    length_S: Int64s = drawn[:n_sessions]
    length_S[-1] -= ends[n_sessions - 1] - n_clicks
    return length_S


def _session_starts(config: SimulatorConfig, n_sessions: int, rng: Generator) -> Int64s:
    """Days alike; the nights are quiet, the evenings are busy."""
    weight_24 = 1.0 + 0.9 * np.sin((np.arange(24) - 11.0) * np.pi / 12)
    hour_S = rng.choice(24, n_sessions, p=weight_24 / weight_24.sum())
    day_S = rng.integers(0, config.days, n_sessions)
    start_S = (
        START_MS + day_S * DAY_MS + ((hour_S + rng.random(n_sessions)) * 3_600_000).astype(np.int64)
    )
    latest_ms = config.end_ms - _LONGEST_SESSION_MS
    return start_S - np.where(start_S >= latest_ms, _LONGEST_SESSION_MS, 0)


def _next_items(
    shop: Shop, previous_N: Int64s, by: tuple[Int64s, Int64s, Int64s], rng: Generator
) -> Int64s:
    user_N, ts_N, device_N = by
    chance_N = rng.random(len(previous_N))
    is_afresh_N = chance_N >= _SUCCESSOR_SHARE + _SAME_CATEGORY_SHARE
    category_N = np.where(
        is_afresh_N,
        shop.draw_categories(user_N, ts_N, rng, device_N),
        shop.items.category_V[previous_N],
    )
    item_N = shop.draw_items(category_N, ts_N, rng)
    # Where a series has ended or its next item is not on sale, the same category stands in: to
    # fall back on the taste instead would favour categories with long series.
    successor_N = shop.items.successor_V[previous_N]
    is_followed_N = (
        (chance_N < _SUCCESSOR_SHARE) & (successor_N >= 0) & shop.is_on_sale(successor_N, ts_N)
    )
    next_N: Int64s = np.where(is_followed_N, successor_N, item_N)
    return next_N
