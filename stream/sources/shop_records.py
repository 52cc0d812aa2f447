"""What happens in the simulated shop, as the records of an event log.

# N events of a kind, K places of a list
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stream.sources.shop import Shop
from stream.sources.shop_attributes import ItemAttributes, UserAttributes
from stream.sources.shop_lists import POLICIES, Lists
from stream.sources.shop_sequels import CURRENCY, Clicks, Opinions, Purchases
from stream.sources.shop_situations import DEVICES
from stream.values import Int64s, Record


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Records of one kind in the order in which they arrive, and when they do."""

    ts_N: Int64s
    records: Iterator[Record]


def in_order(kinds: Sequence[Arrivals]) -> Iterator[Record]:
    """The records of all kinds by arrival; at the same time, an earlier kind comes first.

    Examples
    --------
    >>> early, late = Arrivals(np.array([3]), iter([{"n": 1}])), Arrivals(
    ...     np.array([3, 5]), iter([{"n": 2}, {"n": 3}])
    ... )
    >>> [record["n"] for record in in_order([early, late])]
    [1, 2, 3]
    """
    kind_N = np.repeat(np.arange(len(kinds)), [len(kind.ts_N) for kind in kinds])
    ts_N = np.concatenate([kind.ts_N for kind in kinds])
    records = [kind.records for kind in kinds]
    for kind in kind_N[np.argsort(ts_N, kind="stable")].tolist():
        yield next(records[kind])


def user_id(user: int) -> str:
    """The name of a user in events and facts."""
    return f"user-{user}"


def item_id(item: int) -> str:
    """The name of an item in events and facts."""
    return f"item-{item}"


def request_id(request: int) -> str:
    """The name of a list in events."""
    return f"request-{request}"


def item_records(shop: Shop) -> Arrivals:
    """Items as they are launched."""
    attributes = ItemAttributes(shop)
    order_V = np.argsort(shop.items.launch_ms_V, kind="stable")
    ts_V = shop.items.launch_ms_V[order_V]

    def records() -> Iterator[Record]:
        for item, ts_ms in zip(order_V.tolist(), ts_V.tolist(), strict=True):
            yield {
                "type": "item",
                "item": item_id(item),
                "ts": ts_ms,
                "title": shop.items.title_V[item],
                "category": shop.category_names[shop.items.category_V[item]],
                **attributes.of(item),
            }

    return Arrivals(ts_V, records())


def profile_records(shop: Shop, user_N: Int64s, ts_N: Int64s) -> Arrivals:
    """What users who sign up say of their taste at that time; by time."""
    attributes = UserAttributes(shop)

    def records() -> Iterator[Record]:
        taste_NC = shop.taste(user_N, ts_N)
        best_NC = np.argsort(-taste_NC, axis=1)[:, :2]
        for user, ts_ms, best in zip(user_N.tolist(), ts_N.tolist(), best_NC.tolist(), strict=True):
            first, second = (shop.category_names[category] for category in best)
            yield {
                "type": "user",
                "user": user_id(user),
                "ts": ts_ms,
                "text": f"interested in {first} and {second}",
                **attributes.of(user),
            }

    return Arrivals(ts_N, records())


def list_records(lists: Lists, item_ids: Sequence[str], arrival_N: Int64s) -> Arrivals:
    """Lists as they were shown, with how likely that was."""
    order_N = np.argsort(arrival_N, kind="stable")

    def records() -> Iterator[Record]:
        n_items_N = (lists.item_NK >= 0).sum(axis=1)
        columns = (
            *(order_N, lists.user_N[order_N], lists.ts_N[order_N], n_items_N[order_N]),
            *(lists.policy_N[order_N], lists.device_N[order_N]),
            *(lists.item_NK[order_N], lists.propensity_NK[order_N]),
        )
        for request, user, ts_ms, n_items, policy, device, item_K, propensity_K in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            yield {
                "type": "impression",
                "request_id": request_id(request),
                "user": user_id(user),
                "items": [item_ids[item] for item in item_K[:n_items]],
                "ts": ts_ms,
                "propensities": propensity_K[:n_items],
                "policy": POLICIES[policy],
                "context": {"device": DEVICES[device]},
            }

    return Arrivals(arrival_N[order_N], records())


def click_records(
    clicks: Clicks, item_ids: Sequence[str], arrival_N: Int64s, device_S: Int64s | None = None
) -> Arrivals:
    """Clicks; those on a list name its request. The devices of sessions are named if given."""
    order_N = np.argsort(arrival_N, kind="stable")

    def records() -> Iterator[Record]:
        columns = (clicks.user_N, clicks.item_N, clicks.ts_N, clicks.session_N, clicks.request_N)
        for user, item, ts_ms, session, request in zip(
            *(column[order_N].tolist() for column in columns), strict=True
        ):
            click: Record = {
                "type": "click",
                "user": user_id(user),
                "item": item_ids[item],
                "ts": ts_ms,
                "session": f"session-{session}",
            }
            if request >= 0:
                click["request_id"] = request_id(request)
            if device_S is not None:
                click["context"] = {"device": DEVICES[device_S[session]]}
            yield click

    return Arrivals(arrival_N[order_N], records())


def purchase_records(purchases: Purchases, clicks: Clicks, item_ids: Sequence[str]) -> Arrivals:
    """Purchases; after a click on a list they name its request."""

    def records() -> Iterator[Record]:
        click_P = purchases.click_P
        columns = (
            *(clicks.user_N[click_P], clicks.item_N[click_P], clicks.request_N[click_P]),
            *(purchases.ts_P, purchases.value_P),
        )
        for user, item, request, ts_ms, value in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            purchase = {
                "type": "conversion",
                "user": user_id(user),
                "item": item_ids[item],
                "ts": ts_ms,
                "value": value,
                "currency": CURRENCY,
            }
            if request >= 0:
                purchase["request_id"] = request_id(request)
            yield purchase

    return Arrivals(purchases.ts_P, records())


def opinion_records(opinions: Opinions, clicks: Clicks, item_ids: Sequence[str]) -> Arrivals:
    """Feedback: ratings from 1 to 5, seconds of dwelling, likes and dislikes without a value."""

    def records() -> Iterator[Record]:
        click_F = opinions.click_F
        columns = (
            *(clicks.user_N[click_F], clicks.item_N[click_F]),
            *(opinions.ts_F, opinions.value_F),
        )
        for user, item, ts_ms, value, kind in zip(
            *(column.tolist() for column in columns), opinions.kind_F, strict=True
        ):
            opinion = {
                "type": "feedback",
                "user": user_id(user),
                "item": item_ids[item],
                "ts": ts_ms,
                "kind": kind,
            }
            if value == value:  # not nan
                opinion["value"] = value
            yield opinion

    return Arrivals(opinions.ts_F, records())
