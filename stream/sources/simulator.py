"""Events of the simulated shop, and the truth behind them.

# S sessions, L longest session, N clicks

A session is a walk: from a click to the next item of its series, to another item of its
category, or to whatever the user's taste at that moment brings up. All three leave the mix of
categories as the taste has it; only the order can be learned from the walk.
"""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.random import Generator
from zstandard import ZstdCompressionWriter, ZstdCompressor

from stream.sources.shop import DAY_MS, NEVER_MS, START_MS, Shop, SimulatorConfig
from stream.values import Float64s, Int64s, Record

__all__ = ["Simulation", "SimulationPaths", "SimulatorConfig", "simulate", "write_simulation"]

# What the next click of a session is; the rest follows the user's taste afresh.
_SUCCESSOR_SHARE = 0.5
_SAME_CATEGORY_SHARE = 0.2
_MEAN_SESSION_CLICKS = 5
_MAX_SESSION_CLICKS = 20
_MEAN_GAP_MS = 40_000
_MAX_GAP_MS = 300_000
# Sessions begin early enough to end within the last day.
_LONGEST_SESSION_MS = _MAX_SESSION_CLICKS * _MAX_GAP_MS
_PROFILE_SHARE = 0.5
_SIGN_UP_MS = 60_000


@dataclass(frozen=True, slots=True)
class SimulationPaths:
    """The files of a simulation."""

    events: Path
    truth: Path


def simulate(config: SimulatorConfig) -> "Simulation":
    """Run a shop from its first day to its last.

    Examples
    --------
    >>> simulation = simulate(SimulatorConfig(clicks=500, users=20, items=60))
    >>> clicks = [event for event in simulation.events() if event["type"] == "click"]
    >>> len(clicks)
    500
    >>> sorted(clicks[0])
    ['item', 'session', 'ts', 'type', 'user']
    """
    return Simulation(config)


def write_simulation(config: SimulatorConfig, out_dir: Path) -> SimulationPaths:
    """Write `events.jsonl.zst` and `truth.jsonl`; equal configurations write equal bytes.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = SimulationPaths(out_dir / "events.jsonl.zst", out_dir / "truth.jsonl")
    simulation = simulate(config)
    with paths.events.open("wb") as file:
        compressor = ZstdCompressor(level=3)
        with compressor.stream_writer(file, closefd=False) as stream:
            _write_lines(simulation.events(), stream)
    with paths.truth.open("wb") as file:
        _write_lines(simulation.truth(), file)
    return paths


class Simulation:
    """The clicks of one run of a shop.

    `shop` answers what was true at any time.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.shop = Shop(config)
        self._clicks = _walked_clicks(self.shop, np.random.default_rng([config.seed, 1]))
        chance_U = np.random.default_rng([config.seed, 2]).random(config.users)
        self._has_profile_U = chance_U < _PROFILE_SHARE

    def events(self) -> Iterator[Record]:
        """Items as they are launched, profiles as users sign up, and clicks, in order of time."""
        return heapq.merge(
            self._item_events(),
            self._user_events(),
            self._click_events(),
            key=lambda event: event["ts"],
        )

    def truth(self) -> Iterator[Record]:
        """What no model is told.

        Yields `switch` (who took up which taste when), `launch` and `retirement` of items, and
        `category_day`, the expected share of each category in the clicks around noon of a day.
        """
        yield from self._switches()
        yield from self._shelf_changes()
        for day in range(self.shop.config.days):
            noon_ms = START_MS + day * DAY_MS + DAY_MS // 2
            yield {
                "type": "category_day",
                "day": day,
                "ts": noon_ms,
                "share": self._by_category(self.shop.demand(noon_ms)),
            }

    def _item_events(self) -> Iterator[Record]:
        items = self.shop.items
        for item in np.argsort(items.launch_ms_V, kind="stable").tolist():
            yield {
                "type": "item",
                "item": _item_id(item),
                "ts": int(items.launch_ms_V[item]),
                "title": items.title_V[item],
                "category": self.shop.category_names[items.category_V[item]],
            }

    def _user_events(self) -> Iterator[Record]:
        user_N, first_N = np.unique(self._clicks.user_N, return_index=True)
        sign_up_N = np.maximum(self._clicks.ts_N[first_N] - _SIGN_UP_MS, START_MS)
        for n in np.argsort(sign_up_N, kind="stable").tolist():
            user, ts_ms = int(user_N[n]), int(sign_up_N[n])
            if self._has_profile_U[user]:
                taste_C = self.shop.taste(np.array([user]), np.array([ts_ms]))[0]
                best = [self.shop.category_names[c] for c in np.argsort(-taste_C)[:2]]
                yield {
                    "type": "user",
                    "user": _user_id(user),
                    "ts": ts_ms,
                    "text": f"interested in {best[0]} and {best[1]}",
                }

    def _click_events(self) -> Iterator[Record]:
        clicks = self._clicks
        columns = (clicks.user_N, clicks.item_N, clicks.ts_N, clicks.session_N)
        for user, item, ts_ms, session in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            yield {
                "type": "click",
                "user": _user_id(user),
                "item": _item_id(item),
                "ts": ts_ms,
                "session": f"session-{session}",
            }

    def _switches(self) -> Iterator[Record]:
        switch_ms_U = self.shop.users.switch_ms_U
        for user in np.argsort(switch_ms_U, kind="stable").tolist():
            ts_ms = int(switch_ms_U[user])
            if ts_ms >= self.shop.config.end_ms:
                return
            before_C, after_C = self.shop.taste(
                np.array([user, user]), np.array([ts_ms - 1, ts_ms])
            )
            yield {
                "type": "switch",
                "user": _user_id(user),
                "ts": ts_ms,
                "from": self.shop.category_names[before_C.argmax()],
                "to": self.shop.category_names[after_C.argmax()],
                "taste_before": self._by_category(before_C),
                "taste_after": self._by_category(after_C),
            }

    def _shelf_changes(self) -> Iterator[Record]:
        items = self.shop.items
        for kind, ts_V in (("launch", items.launch_ms_V), ("retirement", items.retire_ms_V)):
            for item in np.argsort(ts_V, kind="stable").tolist():
                if ts_V[item] < NEVER_MS:
                    yield {"type": kind, "item": _item_id(item), "ts": int(ts_V[item])}

    def _by_category(self, share_C: Float64s) -> dict[str, float]:
        return {
            name: round(share, 6)
            for name, share in zip(self.shop.category_names, share_C.tolist(), strict=True)
        }


@dataclass(frozen=True, slots=True)
class _Walks:
    """Clicks in order of time."""

    user_N: Int64s
    item_N: Int64s
    ts_N: Int64s
    session_N: Int64s


def _walked_clicks(shop: Shop, rng: Generator) -> _Walks:
    """All sessions at once, one step after the other."""
    length_S = _session_lengths(shop.config.clicks, rng)
    n_sessions = len(length_S)
    activity_ends_U = np.cumsum(shop.users.activity_U)
    user_S = np.searchsorted(activity_ends_U[:-1], rng.random(n_sessions), side="right")
    gap_SL = np.minimum(rng.exponential(_MEAN_GAP_MS, (n_sessions, length_S.max())), _MAX_GAP_MS)
    # A whole millisecond at least, so that a session's own clicks never share a time.
    ts_SL = _session_starts(shop.config, n_sessions, rng)[:, None] + np.cumsum(
        1 + gap_SL.astype(np.int64), axis=1
    )
    item_SL = np.full(ts_SL.shape, -1)
    for step in range(ts_SL.shape[1]):
        active = np.flatnonzero(length_S > step)
        user, ts = user_S[active], ts_SL[active, step]
        if step == 0:
            category = shop.draw_categories(user, ts, rng)
            item_SL[active, step] = shop.draw_items(category, ts, rng)
        else:
            item_SL[active, step] = _next_items(shop, item_SL[active, step - 1], user, ts, rng)
    session_N, step_N = np.nonzero(item_SL >= 0)
    ts_N = ts_SL[session_N, step_N]
    order_N = np.argsort(ts_N, kind="stable")
    session_N, step_N = session_N[order_N], step_N[order_N]
    return _Walks(user_S[session_N], item_SL[session_N, step_N], ts_N[order_N], session_N)


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
    shop: Shop, previous_N: Int64s, user_N: Int64s, ts_N: Int64s, rng: Generator
) -> Int64s:
    chance_N = rng.random(len(previous_N))
    is_afresh_N = chance_N >= _SUCCESSOR_SHARE + _SAME_CATEGORY_SHARE
    category_N = np.where(
        is_afresh_N,
        shop.draw_categories(user_N, ts_N, rng),
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


def _write_lines(records: Iterator[Record], file: BinaryIO | ZstdCompressionWriter) -> None:
    encoder = msgspec.json.Encoder()
    while chunk := list(itertools.islice(records, 1000)):
        file.write(encoder.encode_lines(chunk))


def _user_id(user: int) -> str:
    return f"user-{user}"


def _item_id(item: int) -> str:
    return f"item-{item}"
