"""What visitors of the simulated shop are shown, and whether they click it.

# N lists in order of time, K places of a list, S sessions

A visitor looks at a place with a probability that falls with the position, and clicks what he
looks at with a probability of his own, independently of the other places.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from stream.sources.logging_policy import LoggingPolicy, Ranking
from stream.sources.shop import Shop
from stream.sources.shop_config import Draws, generator, scheduled_share
from stream.sources.shop_situations import DEVICE_SHARES, DEVICES, session_devices
from stream.sources.shop_walks import Sessions
from stream.values import Bools, Float64s, Int64s

POLICIES = ("popular_taste", "random")

# Of the first place; the k-th is looked at with k to the power of -0.6.
_EXAMINATION_POWER = 0.6
_MEAN_DELAY_MS = 20_000
_MIN_DELAY_MS = 1_000
# Well within the half hour in which a click counts for its list.
MAX_DELAY_MS = 600_000


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that were shown, and the truth about them.

    `policy_N` and `device_N` number `POLICIES` and `DEVICES`. `item_NK` is -1 past the end of
    a list, `probability_NK`, that the item is clicked there, 0. Whatever is clicked is clicked
    at `click_ms_NK`.
    """

    user_N: Int64s
    ts_N: Int64s
    session_N: Int64s
    policy_N: Int64s
    device_N: Int64s
    item_NK: Int64s
    propensity_NK: Float64s
    probability_NK: Float64s
    click_ms_NK: Int64s
    is_clicked_NK: Bools

    def __len__(self) -> int:
        return len(self.user_N)


def examination(n_positions: int) -> Float64s:
    """The probability that a visitor looks at each position, the first one's first.

    Examples
    --------
    >>> examination(3).round(2).tolist()
    [1.0, 0.66, 0.52]
    """
    probability_K: Float64s = np.arange(1.0, n_positions + 1) ** -_EXAMINATION_POWER
    return probability_K


def shown_lists(shop: Shop, sessions: Sessions) -> Lists:
    """The lists of all sessions: one as a visit begins, the others at any time within it.

    Examples
    --------
    >>> from stream.sources.shop_config import SimulatorConfig
    >>> shop = Shop(SimulatorConfig(users=1, items=24, requests_per_session=2, list_items=5))
    >>> user, start_ms = np.array([0]), np.array([1_704_067_200_000])
    >>> shown_lists(shop, Sessions(user, start_ms, start_ms + 60_000)).item_NK.shape
    (2, 5)
    """
    config = shop.config
    rng = generator(config, Draws.LISTS)
    session_N, ts_N = _requests(shop, sessions, rng)
    user_N = sessions.user_S[session_N]
    device_S = rng.choice(len(DEVICES), len(sessions.user_S), p=DEVICE_SHARES)
    if config.device_shift:  # those of the clicks, who have to do with what is wanted
        device_S = session_devices(config, len(device_S))
    is_random_N = rng.random(len(ts_N)) < config.exploration_ratio
    broken_share_N = scheduled_share(config.schedule, "broken_policy", ts_N)
    is_broken_N = ~is_random_N & (rng.random(len(ts_N)) < broken_share_N)

    policy = LoggingPolicy(shop, MAX_DELAY_MS)
    rng = generator(config, Draws.RANKING)
    item_NK = np.full((len(ts_N), config.list_items), -1)
    propensity_NK = np.zeros(item_NK.shape)
    ways: tuple[tuple[Ranking, Bools], ...] = (
        ("sound", ~is_random_N & ~is_broken_N),
        ("broken", is_broken_N),
        ("random", is_random_N),
    )
    for ranking, is_ranked_so_N in ways:
        rows = np.flatnonzero(is_ranked_so_N)
        ranked = policy.rank(ranking, user_N[rows], ts_N[rows], config.list_items, rng)
        item_NK[rows], propensity_NK[rows] = ranked.item_NK, ranked.propensity_NK

    rng = generator(config, Draws.LIST_CLICKS)
    device_N = device_S[session_N]
    probability_NK = _click_probability(shop, item_NK, (user_N, ts_N, device_N))
    delay_NK = _MIN_DELAY_MS + rng.exponential(_MEAN_DELAY_MS, item_NK.shape).astype(np.int64)
    return Lists(
        user_N=user_N,
        ts_N=ts_N,
        session_N=session_N,
        policy_N=is_random_N.astype(np.int64),
        device_N=device_N,
        item_NK=item_NK,
        propensity_NK=propensity_NK,
        probability_NK=probability_NK,
        click_ms_NK=ts_N[:, None] + np.minimum(delay_NK, MAX_DELAY_MS),
        is_clicked_NK=rng.random(item_NK.shape) < probability_NK,
    )


def _requests(shop: Shop, sessions: Sessions, rng: Generator) -> tuple[Int64s, Int64s]:
    """The session and the time of each list, in order of time."""
    n_sessions = len(sessions.user_S)
    whole, part = divmod(shop.config.requests_per_session, 1)
    n_requests_S = int(whole) + (rng.random(n_sessions) < part)
    session_N = np.repeat(np.arange(n_sessions), n_requests_S)
    is_first_N = np.diff(session_N, prepend=-1) > 0
    passed_N = np.where(is_first_N, 0.0, rng.random(len(session_N)))
    span_ms_S = sessions.end_ms_S - sessions.start_ms_S
    ts_N = sessions.start_ms_S[session_N] + (passed_N * span_ms_S[session_N]).astype(np.int64)
    # A click on the last list must not lie past the end.
    ts_N = np.minimum(ts_N, shop.config.end_ms - 1 - MAX_DELAY_MS)
    order_N = np.argsort(ts_N, kind="stable")
    return session_N[order_N], ts_N[order_N]


def _click_probability(shop: Shop, item_NK: Int64s, by: tuple[Int64s, Int64s, Int64s]) -> Float64s:
    list_S, place_S = np.nonzero(item_NK >= 0)
    user_S, ts_S, device_S = (column_N[list_S] for column_N in by)
    relevance_S = shop.click_probability(user_S, item_NK[list_S, place_S], ts_S, device_S)
    probability_NK = np.zeros(item_NK.shape)
    probability_NK[list_S, place_S] = examination(item_NK.shape[1])[place_S] * relevance_S
    return probability_NK
