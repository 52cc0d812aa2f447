"""What is true of the simulated shop, and no model is told.

# U users, V items, C categories, N lists, K places of a list, H hours with lists
"""

from collections.abc import Iterator

import numpy as np

from stream.sources.shop import DAY_MS, NEVER_MS, START_MS, Shop
from stream.sources.shop_config import scheduled_share
from stream.sources.shop_lists import POLICIES, Lists, examination
from stream.sources.shop_records import item_id, user_id
from stream.values import Float64s, Int64s, Record

_HOUR_MS = 3_600_000
_DIGITS = 6


def truth_records(shop: Shop, lists: Lists | None) -> Iterator[Record]:
    """All facts, kind by kind, each kind in order of time.

    Yields `scheduled`, what happened when to the shop; `switch`, who took up which taste when;
    `launch` and `retirement` of items; `category_day`, the expected share of each category in
    the clicks around noon of a day. With lists also `examination`, the probability that a
    position is looked at, and `ctr_hour`, what is to be expected of the lists shown within an
    hour, as far as their clicks are recorded.

    Examples
    --------
    >>> from stream.sources.shop_config import SimulatorConfig
    >>> next(truth_records(Shop(SimulatorConfig(users=9, items=24)), None))["kind"]
    'taste_shift'
    """
    yield from _scheduled(shop)
    yield from _switches(shop)
    yield from _shelf_changes(shop)
    for day in range(shop.config.days):
        noon_ms = START_MS + day * DAY_MS + DAY_MS // 2
        yield {
            "type": "category_day",
            "day": day,
            "ts": noon_ms,
            "share": _by_category(shop, shop.demand(noon_ms)),
        }
    if lists is not None:
        for position, probability in enumerate(examination(shop.config.list_items), start=1):
            yield {
                "type": "examination",
                "position": position,
                "probability": round(float(probability), _DIGITS),
            }
        yield from _ctr_hours(shop, lists)


def _scheduled(shop: Shop) -> Iterator[Record]:
    for event in shop.config.schedule:
        yield {
            "type": "scheduled",
            "kind": event.kind,
            "ts": event.start_ms,
            "ts_end": event.end_ms,
            "share": event.share,
        }


def _switches(shop: Shop) -> Iterator[Record]:
    since_ms_SU = shop.users.since_ms_SU
    # The first taste is nobody's by a switch.
    nth_N, user_N = np.nonzero(since_ms_SU[1:] < shop.config.end_ms)
    ts_N = since_ms_SU[1 + nth_N, user_N]
    for n in np.argsort(ts_N, kind="stable").tolist():
        user, ts_ms = int(user_N[n]), int(ts_N[n])
        before_C, after_C = shop.taste(np.array([user, user]), np.array([ts_ms - 1, ts_ms]))
        yield {
            "type": "switch",
            "user": user_id(user),
            "ts": ts_ms,
            "from": shop.category_names[before_C.argmax()],
            "to": shop.category_names[after_C.argmax()],
            "taste_before": _by_category(shop, before_C),
            "taste_after": _by_category(shop, after_C),
        }


def _shelf_changes(shop: Shop) -> Iterator[Record]:
    items = shop.items
    for kind, ts_V in (("launch", items.launch_ms_V), ("retirement", items.retire_ms_V)):
        for item in np.argsort(ts_V, kind="stable").tolist():
            if ts_V[item] < NEVER_MS:
                yield {"type": kind, "item": item_id(item), "ts": int(ts_V[item])}


def _by_category(shop: Shop, share_C: Float64s) -> dict[str, float]:
    return {
        name: round(share, _DIGITS)
        for name, share in zip(shop.category_names, share_C.tolist(), strict=True)
    }


def _ctr_hours(shop: Shop, lists: Lists) -> Iterator[Record]:
    hour_N = (lists.ts_N - START_MS) // _HOUR_MS
    hour_H, which_N = np.unique(hour_N, return_inverse=True)
    figures = _figures(shop, lists)
    everything = _sums(figures, which_N, len(hour_H))
    by_policy = [
        _sums(figures * (lists.policy_N == policy), which_N, len(hour_H))
        for policy in range(len(POLICIES))
    ]
    for h, hour in enumerate(hour_H.tolist()):
        yield {
            "type": "ctr_hour",
            "ts": START_MS + hour * _HOUR_MS,
            **_facts(everything[:, h]),
            "by_policy": {
                name: _facts(sums[:, h])
                for name, sums in zip(POLICIES, by_policy, strict=True)
                if sums[0, h]
            },
        }


def _figures(shop: Shop, lists: Lists) -> Float64s:
    """Of each list: that it is one, its items, the clicks and whether any is to be expected."""
    lost_share_NK = scheduled_share(shop.config.schedule, "tracking_outage", lists.click_ms_NK)
    recorded_NK = lists.probability_NK * (1 - lost_share_NK)
    figures: Float64s = np.stack(
        [
            np.ones(len(lists)),
            (lists.item_NK >= 0).sum(axis=1),
            recorded_NK.sum(axis=1),
            1 - (1 - recorded_NK).prod(axis=1),
        ]
    )
    return figures


def _sums(figures: Float64s, which_N: Int64s, n_hours: int) -> Float64s:
    return np.stack([np.bincount(which_N, figure_N, n_hours) for figure_N in figures])


def _facts(sums: Float64s) -> Record:
    requests, shown, clicks, clicked_requests = sums.tolist()
    return {
        "requests": int(requests),
        "shown": int(shown),
        "expected_clicks": round(clicks, _DIGITS),
        "expected_clicked_requests": round(clicked_requests, _DIGITS),
        "ctr": round(clicks / shown, _DIGITS),
        "request_ctr": round(clicked_requests / requests, _DIGITS),
    }
