"""Events of the simulated shop, and the truth behind them.

# N events of a kind, U users, P users with a profile

What happens is computed as columns (`shop_walks`, `shop_lists`, `shop_sequels`); here it is put
together, what is lost is lost, and what is late comes late.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.random import Generator
from zstandard import ZstdCompressionWriter, ZstdCompressor

from stream.sources.shop import Shop
from stream.sources.shop_config import (
    NEVER_MS,
    START_MS,
    Draws,
    ScheduledEvent,
    SimulatorConfig,
    generator,
    scheduled_share,
)
from stream.sources.shop_lists import Lists, shown_lists
from stream.sources.shop_records import (
    click_records,
    in_order,
    item_id,
    item_records,
    list_records,
    opinion_records,
    profile_records,
    purchase_records,
)
from stream.sources.shop_sequels import Clicks, opinions, purchases
from stream.sources.shop_situations import session_devices
from stream.sources.shop_truth import truth_records
from stream.sources.shop_walks import Walks, walked
from stream.values import Int64s, Record

__all__ = [
    "ScheduledEvent",
    "Simulation",
    "SimulationPaths",
    "SimulatorConfig",
    "simulate",
    "write_simulation",
]

_SIGN_UP_MS = 60_000
_MAX_LATE_MS = 300_000


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
    >>> unaided = [click for click in clicks if "request_id" not in click]
    >>> len(unaided), len(clicks) > 500
    (500, True)
    >>> sorted(unaided[0])
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
    """One run of a shop.

    `shop` answers what was true at any time. `lists` (None if there are none) and `clicks` are all
    that happened, recorded or not.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.shop = Shop(config)
        walks = walked(self.shop)
        has_lists = config.requests_per_session > 0
        self.lists = shown_lists(self.shop, walks.sessions) if has_lists else None
        self.clicks = _clicks_of(walks, self.lists)
        self._devices = session_devices(config, len(walks.sessions.user_S))

    def events(self) -> Iterator[Record]:
        """All that is recorded, in the order in which it arrives.

        That is by time, but for lists and clicks that are late: items as they are launched,
        profiles as users sign up, lists as they are shown, clicks, purchases and opinions.
        """
        item_ids = [item_id(item) for item in range(len(self.shop.items.title_V))]
        rng = generator(self.shop.config, Draws.DELAYS)
        recorded = self._recorded_clicks()
        kinds = [item_records(self.shop), profile_records(self.shop, *self._sign_ups())]
        if self.lists is not None:
            arrival_N = self._arrivals(self.lists.ts_N, rng)
            kinds.append(list_records(self.lists, item_ids, arrival_N))
        device_S = self._devices if self.shop.config.device_shift else None
        arrival_N = self._arrivals(recorded.ts_N, rng)
        kinds.append(click_records(recorded, item_ids, arrival_N, device_S))
        if self.lists is not None:
            bought = purchases(self.shop, self.clicks)
            kinds.append(purchase_records(bought, self.clicks, item_ids))
            said = opinions(self.shop, self.clicks)
            kinds.append(opinion_records(said, self.clicks, item_ids))
        return in_order(kinds)

    def truth(self) -> Iterator[Record]:
        """What no model is told: see `truth_records`."""
        return truth_records(self.shop, self.lists)

    def _recorded_clicks(self) -> Clicks:
        """All but those that happened in a tracking outage and were lost."""
        clicks = self.clicks
        config = self.shop.config
        lost_share_N = scheduled_share(config.schedule, "tracking_outage", clicks.ts_N)
        chance_N = generator(config, Draws.LOSSES).random(len(clicks))
        return clicks.select(chance_N >= lost_share_N)

    def _sign_ups(self) -> tuple[Int64s, Int64s]:
        """Users with a profile and when they sign up, by time: just before their first event."""
        user_N, ts_N = self.clicks.user_N, self.clicks.ts_N
        if self.lists is not None:
            user_N = np.concatenate([user_N, self.lists.user_N])
            ts_N = np.concatenate([ts_N, self.lists.ts_N])
        first_ms_U = np.full(self.shop.config.users, NEVER_MS)
        np.minimum.at(first_ms_U, user_N, ts_N)
        chance_U = generator(self.shop.config, Draws.PROFILES).random(len(first_ms_U))
        user_P = np.flatnonzero(
            (chance_U < self.shop.config.profile_ratio) & (first_ms_U < NEVER_MS)
        )
        sign_up_P = np.maximum(first_ms_U[user_P] - _SIGN_UP_MS, START_MS)
        order_P = np.argsort(sign_up_P, kind="stable")
        return user_P[order_P], sign_up_P[order_P]

    def _arrivals(self, ts_N: Int64s, rng: Generator) -> Int64s:
        is_late_N = rng.random(len(ts_N)) < self.shop.config.late_ratio
        delay_N = rng.integers(1, _MAX_LATE_MS, len(ts_N), endpoint=True)
        return ts_N + np.where(is_late_N, delay_N, 0)


def _clicks_of(walks: Walks, lists: Lists | None) -> Clicks:
    """Clicks of walks and on lists, in order of time."""
    unaided = Clicks(
        *(walks.user_N, walks.item_N, walks.ts_N, walks.session_N), np.full(len(walks.ts_N), -1)
    )
    if lists is None:
        return unaided
    request_N, place_N = np.nonzero(lists.is_clicked_NK)
    on_lists = Clicks(
        user_N=lists.user_N[request_N],
        item_N=lists.item_NK[request_N, place_N],
        ts_N=lists.click_ms_NK[request_N, place_N],
        session_N=lists.session_N[request_N],
        request_N=request_N,
    )
    clicks = unaided.followed_by(on_lists)
    return clicks.select(np.argsort(clicks.ts_N, kind="stable"))


def _write_lines(records: Iterator[Record], file: BinaryIO | ZstdCompressionWriter) -> None:
    encoder = msgspec.json.Encoder()
    while chunk := list(itertools.islice(records, 1000)):
        file.write(encoder.encode_lines(chunk))
