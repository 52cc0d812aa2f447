import numpy as np
import pytest
from pydantic import ValidationError

from stream.errors import ConfigError
from stream.settings import read_settings
from stream.sources.shop_config import (
    DAY_MS,
    START_MS,
    Draws,
    ScheduledEvent,
    SimulatorConfig,
    generator,
    scheduled_share,
)


def test_fewer_items_than_categories_are_refused():
    with pytest.raises(ValidationError, match="5 items cannot fill 12 categories"):
        SimulatorConfig(items=5)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ("[{kind: broken, day: 1}]", "events.0.kind: input should be 'taste_shift', "),
        ("[{kind: taste_shift}]", "events.0.day: field required"),
        ("[{kind: taste_shift, day: -1}]", "events.0.day: input should be greater than or equal"),
        ("[{kind: taste_shift, day: .nan}]", "events.0.day: input should be a finite number"),
        ("[{kind: taste_shift, day: 1, days: 0}]", "events.0.days: input should be greater than 0"),
        ("[{kind: taste_shift, day: 1, days: -2}]", "events.0.days: input should be greater than"),
        ("[{kind: taste_shift, day: 1, share: 1.5}]", "events.0.share: input should be less than"),
        ("[{kind: taste_shift, day: 1, share: -1}]", "events.0.share: input should be greater"),
        ("[{kind: taste_shift, dya: 1}]", "events.0.dya: unknown key; did you mean 'day'?"),
        (
            "[{kind: catalogue_switch, day: 1, days: 1}]",
            "events.0: a catalogue_switch happens at once; leave out its days",
        ),
        (
            "[{kind: taste_shift, day: 14}]",
            "events: expected a day below 14, the days in all: got taste_shift on day 14",
        ),
        (
            "[{kind: broken_policy, day: 6}, {kind: broken_policy, day: 5, days: 2}]",
            "events: expected one broken_policy to end before the next begins: got one of 2 days",
        ),
    ],
)
def test_events_that_cannot_happen_are_refused_with_where_and_why(events, told):
    with pytest.raises(ConfigError) as refused:
        read_settings(SimulatorConfig, None, [f"events={events}"])
    assert f"--set: {told}" in str(refused.value)


def test_events_of_different_kinds_may_overlap_and_equal_ones_may_follow_each_other():
    events = "[{kind: broken_policy, day: 5}, {kind: broken_policy, day: 6}"
    config = read_settings(
        SimulatorConfig, None, [f"events={events}, {{kind: tracking_outage, day: 5.5}}]"]
    )
    assert [event.day for event in config.events] == [5, 6, 5.5]


def test_the_schedule_holds_the_switch_of_tastes_in_order_of_time():
    outage = ScheduledEvent(kind="tracking_outage", day=9, days=0.5)
    broken = ScheduledEvent(kind="broken_policy", day=2)
    config = SimulatorConfig(events=(outage, broken), switching_ratio=0.4, switch_day=3)
    shift = ScheduledEvent(kind="taste_shift", day=3, days=1, share=0.4)
    assert config.schedule == (broken, shift, outage)


@pytest.mark.parametrize("changes", [{"switching_ratio": 0}, {"days": 8}])
def test_a_switch_that_does_not_happen_is_not_scheduled(changes):
    assert SimulatorConfig(**changes).schedule == ()


def test_an_event_lasts_its_days_and_a_catalogue_switch_an_instant():
    outage = ScheduledEvent(kind="tracking_outage", day=1.5, days=0.25)
    switch = ScheduledEvent(kind="catalogue_switch", day=2)
    assert outage.start_ms == START_MS + 1.5 * DAY_MS
    assert outage.end_ms == START_MS + 1.75 * DAY_MS
    assert switch.start_ms == switch.end_ms == START_MS + 2 * DAY_MS


def test_a_share_is_affected_from_the_first_to_just_before_the_last_instant():
    first = ScheduledEvent(kind="broken_policy", day=1, share=0.25)
    second = ScheduledEvent(kind="broken_policy", day=2)
    other = ScheduledEvent(kind="tracking_outage", day=0, days=9)
    ts = START_MS + DAY_MS * np.array([1, 2, 3])
    ts = np.stack([ts - 1, ts])
    share = scheduled_share([first, other, second], "broken_policy", ts)
    assert share.tolist() == [[0, 0.25, 1], [0.25, 1, 0]]


def test_each_kind_of_draw_has_numbers_of_its_own():
    config = SimulatorConfig(seed=3)
    drawn = [generator(config, draws, n).random() for draws in Draws for n in (0, 1, 2)]
    assert len(set(drawn)) == len(drawn)
    assert generator(config, Draws.WALKS).random() == np.random.default_rng([3, 1]).random()
