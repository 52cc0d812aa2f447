"""How large a simulated shop is, how long it is watched, and what happens to it meanwhile."""

from collections.abc import Iterable
from enum import IntEnum
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stream.events import MAX_LIST_ITEMS
from stream.sources.shop_words import CATEGORY_WORDS
from stream.values import Float64s, Int64s

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
NEVER_MS = int(np.iinfo(np.int64).max)
# Until 2051: events must not lie past the last time that an event may have.
_MAX_DAYS = 10_000

EventKind = Literal["taste_shift", "broken_policy", "catalogue_switch", "tracking_outage"]


class ScheduledEvent(BaseModel):
    """What happens to the shop at a time set beforehand.

    It begins `day` days after the start, takes `days`, and affects a `share`:

    - `taste_shift`: of the users, who take up a new favourite, each at a moment of the `days`;
    - `broken_policy`: of the ranked lists; a bug turns the ranking around, under the same name;
    - `catalogue_switch`: of the items on sale, which leave at once, and as many new ones arrive;
    - `tracking_outage`: of the clicks, which happen but are not recorded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: EventKind
    day: float = Field(ge=0)
    days: float = Field(default=1.0, gt=0, le=_MAX_DAYS)
    share: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _a_switch_takes_no_time(self) -> "ScheduledEvent":
        if self.kind == "catalogue_switch" and "days" in self.model_fields_set:
            raise ValueError("a catalogue_switch happens at once; leave out its days")
        return self

    @property
    def start_ms(self) -> int:
        """When it begins."""
        return START_MS + round(self.day * DAY_MS)

    @property
    def end_ms(self) -> int:
        """The first instant after it; a catalogue switch ends as it begins."""
        if self.kind == "catalogue_switch":
            return self.start_ms
        return self.start_ms + round(self.days * DAY_MS)


class SimulatorConfig(BaseModel):
    """How large the shop is, how long it is watched, and how much it changes.

    `clicks` are those that users make without being shown anything. Beside them a visit is
    shown `requests_per_session` lists of `list_items`, on which users click more; at 0 there
    are no lists, and nothing but clicks is recorded. `exploration_ratio` of the lists are
    random. `late_ratio` of the lists and clicks arrive up to five minutes late.

    `conversion_ratio` is how likely a click on a perfect item is followed by a purchase. With
    `conversion_taste` above 0 that depends on who clicks: at 1 it is as much less likely as the
    user wants less of the item's category.

    `switching_ratio` of the users take up a new favourite during the day that begins
    `switch_day` days after the start; the taste of everybody moves by `drift_ratio` from the
    first to the last day. `launched_ratio` of the items appear after the start,
    `retired_ratio` leave before the end. `events` happen beside all that.

    `profile_ratio` of the users say what they like as they sign up. What they want gives way by
    `device_shift` to what is wanted on their device, which clicks then name as lists do, and by
    `hour_shift` to what is wanted at that time of the day. With `attributes` items have brand and
    price, profiles segment and age; with `vectors` items have an image of that length.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: NonNegativeInt = 0
    clicks: PositiveInt = 60_000
    users: PositiveInt = 2000
    items: PositiveInt = 1000
    categories: int = Field(default=12, ge=2, le=len(CATEGORY_WORDS))
    days: int = Field(default=14, ge=1, le=_MAX_DAYS)
    requests_per_session: float = Field(default=2.0, ge=0, le=20)
    list_items: int = Field(default=10, ge=1, le=MAX_LIST_ITEMS)
    exploration_ratio: float = Field(default=0.1, ge=0, le=1)
    late_ratio: float = Field(default=0.0, ge=0, le=1)
    conversion_ratio: float = Field(default=0.1, ge=0, le=1)
    conversion_taste: float = Field(default=0.0, ge=0, le=1)
    switching_ratio: float = Field(default=0.3, ge=0, le=1)
    switch_day: float = Field(default=8.0, ge=0, le=_MAX_DAYS)
    drift_ratio: float = Field(default=0.2, ge=0, le=1)
    launched_ratio: float = Field(default=0.3, ge=0, le=1)
    retired_ratio: float = Field(default=0.2, ge=0, le=1)
    events: tuple[ScheduledEvent, ...] = ()
    profile_ratio: float = Field(default=0.5, ge=0, le=1)
    device_shift: float = Field(default=0.0, ge=0, le=1)
    hour_shift: float = Field(default=0.0, ge=0, le=1)
    attributes: bool = False
    vectors: int = Field(default=0, ge=0, le=4_096)

    @field_validator("events")
    @classmethod
    def _events_can_happen(
        cls, events: tuple[ScheduledEvent, ...], info: ValidationInfo
    ) -> tuple[ScheduledEvent, ...]:
        days = info.data.get("days")
        for event in events:
            if days is not None and event.day >= days:
                raise ValueError(
                    f"expected a day below {days}, the days in all: "
                    f"got {event.kind} on day {event.day:g}"
                )
        for earlier, later in pairwise(sorted(events, key=lambda e: (e.kind, e.start_ms))):
            if earlier.kind == later.kind and later.start_ms < earlier.end_ms:
                raise ValueError(
                    f"expected one {later.kind} to end before the next begins: got one of "
                    f"{earlier.days:g} days on day {earlier.day:g} and one on day {later.day:g}"
                )
        return events

    @model_validator(mode="after")
    def _every_category_has_items(self) -> "SimulatorConfig":
        if self.items < self.categories:
            raise ValueError(f"{self.items} items cannot fill {self.categories} categories")
        return self

    @property
    def end_ms(self) -> int:
        """The first instant after the last day."""
        return START_MS + self.days * DAY_MS

    @property
    def schedule(self) -> tuple[ScheduledEvent, ...]:
        """All that happens, the switch of tastes included, in order of time."""
        happening = list(self.events)
        if self.switching_ratio > 0 and self.switch_day < self.days:
            happening.append(
                ScheduledEvent(kind="taste_shift", day=self.switch_day, share=self.switching_ratio)
            )
        return tuple(sorted(happening, key=lambda event: event.start_ms))


class Draws(IntEnum):
    """What is drawn from the seed, each apart: one more kind of draw leaves the others alone."""

    SHOP = 0
    WALKS = 1
    PROFILES = 2
    LISTS = 3
    ESTIMATES = 4
    RANKING = 5
    LIST_CLICKS = 6
    SEQUELS = 7
    LOSSES = 8
    DELAYS = 9
    TASTE_SHIFT = 10
    CATALOGUE_SWITCH = 11
    SITUATIONS = 12
    ATTRIBUTES = 13


def generator(config: SimulatorConfig, draws: Draws, number: int = 0) -> Generator:
    """The random numbers of one kind of draw; `number` tells several of a kind apart."""
    return np.random.default_rng([config.seed, draws, number])


def scheduled_share(events: Iterable[ScheduledEvent], kind: EventKind, ts_N: Int64s) -> Float64s:
    """How much an event of this kind affects at each time; 0 where there is none.

    Examples
    --------
    >>> outage = ScheduledEvent(kind="tracking_outage", day=1, share=0.5)
    >>> ts = START_MS + np.array([0, 1, 2]) * DAY_MS
    >>> scheduled_share([outage], "tracking_outage", ts).tolist()
    [0.0, 0.5, 0.0]
    """
    share_N: Float64s = np.zeros(np.shape(ts_N))
    for event in events:
        if event.kind == kind:
            share_N[(event.start_ms <= ts_N) & (ts_N < event.end_ms)] = event.share
    return share_N
