"""The event types: what may arrive, and what is checked when it does.

Ids come as strings or integers and are kept as strings; `ts` is event time in milliseconds since
the epoch, or ISO 8601. Limits are checked while decoding, in C, so that the loop may trust what
it is handed. Unknown fields are ignored.
"""

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

# 2100-01-01: a larger number is in another unit (microseconds), not in the future.
MAX_TS_MS = 4_102_444_800_000
MAX_ID_CHARS = 1024
MAX_LIST_ITEMS = 1000

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)] | int
Ts = Annotated[int, Meta(ge=0, le=MAX_TS_MS)] | float | str
FeedbackKind = Literal["like", "dislike", "hide", "rating", "dwell"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)
ShownItems = Annotated[list[Id], Meta(min_length=1, max_length=MAX_LIST_ITEMS)]


class Click(Struct, tag_field="type", tag="click"):
    """The positive signal; works without any impression."""

    user: Id
    item: Id
    ts: Ts
    request_id: Id | None = None
    session: Id | None = None
    context: dict[str, Any] | None = None


class Impression(Struct, tag_field="type", tag="impression"):
    """What was shown, in order, and how likely the policy was to show it.

    `targets` are other policies by name, and how likely each would have shown it.
    """

    request_id: Id
    user: Id
    items: ShownItems
    ts: Ts
    propensities: list[float] | None = None
    policy: str | None = None
    context: dict[str, Any] | None = None
    targets: dict[str, list[float]] | None = None


class Conversion(Struct, tag_field="type", tag="conversion"):
    """A purchase, play-through or subscription."""

    user: Id
    item: Id
    ts: Ts
    value: float | None = None
    currency: str | None = None
    request_id: Id | None = None


class Feedback(Struct, tag_field="type", tag="feedback"):
    """Satisfaction: like, dislike, hide, rating or dwell; a dislike is a negative."""

    user: Id
    item: Id
    ts: Ts
    kind: FeedbackKind
    value: float | None = None


class Item(Struct, tag_field="type", tag="item"):
    """A catalogue upsert: lets an item that nobody clicked be recommended."""

    item: Id
    ts: Ts
    title: str | None = None
    text: str | None = None
    category: str | None = None
    attributes: dict[str, Any] | None = None
    vectors: dict[str, list[float]] | None = None


class User(Struct, tag_field="type", tag="user"):
    """A profile upsert: lets a user without history be served."""

    user: Id
    ts: Ts
    text: str | None = None
    attributes: dict[str, Any] | None = None


class Forget(Struct, tag_field="type", tag="forget"):
    """Erase this user."""

    user: Id
    ts: Ts


Event = Click | Impression | Conversion | Feedback | Item | User | Forget
