from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.live.settings import WatchConfig
from stream.live.watch import Watch

DAY_S = 1_700_000_000.0
SILENT = {"name": "no_clicks", "kind": "silent", "for": "10m"}
MANY = {"name": "many", "kind": "lagging", "records": 1000, "for": "30s"}
OLD = {"name": "old", "kind": "lagging", "behind": "5m", "for": "1m"}


@dataclass(frozen=True)
class SomeStatus:
    is_connected: bool = True
    problem: str | None = None
    lag_records: int | None = 0
    last_arrival_s: float | None = None
    newest_ts_ms: int | None = None
    n_records: int = 0
    is_repeating: bool = False
    is_backlog: bool = False


class Scene:
    """A watch, two clocks that stand until they are moved, and a source that is what it is told."""

    def __init__(self, *rules):
        self.now_s = 50.0
        self.wall_s = DAY_S
        self.status = SomeStatus()
        self.incidents = []
        self.watch = Watch(
            WatchConfig.model_validate({"rules": rules}),
            lambda: self.now_s,
            lambda: self.status,
            self.incidents.append,
            lambda: self.wall_s,
        )

    def after(self, seconds, **changes):
        """Let time pass, then look; what was reported since, as (name, text, is it over)."""
        self.now_s += seconds
        self.wall_s += seconds
        self.status = replace(self.status, **changes)
        before = len(self.incidents)
        self.watch.step()
        return [(one.name, one.text, one.is_resolved) for one in self.incidents[before:]]

    def click(self, seconds):
        """Let time pass until a record comes, and is read at once."""
        return self.after(seconds, last_arrival_s=self.now_s + seconds)


def test_silence_is_told_once_and_its_end_once():
    scene = Scene(SILENT)
    assert scene.click(5) == []
    assert scene.after(599) == []
    assert scene.after(1) == [("no_clicks", "no record for 10m", False)]
    assert scene.watch.firing == ["no_clicks"]
    assert scene.after(300) == []
    assert scene.click(120) == [("no_clicks", "records come again, after 17m without one", True)]
    assert scene.watch.firing == []
    assert scene.click(1) == []


def test_a_source_that_never_had_a_record_is_silent_since_the_start():
    scene = Scene(SILENT)
    assert scene.after(599) == []
    assert scene.after(1) == [("no_clicks", "no record for 10m", False)]


def test_records_of_a_repeated_journal_are_no_silence():
    scene = Scene(SILENT)
    for n_records in range(1, 5):
        assert scene.after(300, n_records=n_records, is_repeating=True) == []


def test_silence_names_what_is_known_of_its_reason():
    scene = Scene(SILENT)
    told = scene.after(600, is_connected=False, problem="broker at 127.0.0.1:9092 does not answer")
    assert told[0][1] == (
        "no record for 10m: not connected, broker at 127.0.0.1:9092 does not answer"
    )
    assert Scene(SILENT).after(600, lag_records=7000)[0][1] == (
        "no record for 10m although 7,000 records wait"
    )


def test_a_lag_must_last_before_it_is_told_and_be_over_before_it_is_resolved():
    scene = Scene(MANY)
    assert scene.after(1, lag_records=1001) == []
    assert scene.after(29) == []
    assert scene.after(1, lag_records=2000) == [
        ("many", "2,000 records wait", False),
    ]
    assert scene.after(10, lag_records=1000) == []
    assert scene.after(10, lag_records=1500) == []
    assert scene.after(10, lag_records=10) == []
    assert scene.after(30) == [
        ("many", "keeps up again, after 1m: 10 records wait", True),
    ]


def test_a_lag_that_swings_around_its_bound_is_not_told():
    scene = Scene(MANY)
    told = [scene.after(20, lag_records=lag) for lag in (1001, 900, 1001, 900, 1001, 900)]
    assert told == [[]] * 6


def test_the_age_of_the_newest_record_counts_while_others_wait():
    scene = Scene(OLD)
    newest_ts_ms = int((DAY_S - 400) * 1000)
    assert scene.after(1, lag_records=50, newest_ts_ms=newest_ts_ms) == []
    assert scene.after(60) == [
        ("old", "50 records wait, the newest one read is 7m 41s old", False),
    ]
    scene.after(1, lag_records=0)
    assert scene.after(60)[0][2]


def test_the_first_record_after_a_quiet_night_is_no_lag():
    scene = Scene(OLD)
    scene.after(1, newest_ts_ms=int(DAY_S * 1000))
    scene.after(8 * 3600)
    assert [scene.after(30, lag_records=1) for _ in range(10)] == [[]] * 10
    assert scene.after(100) == []  # waits for more than five minutes now
    assert scene.after(60) == [("old", "1 record waits, the newest one read is 7m 40s old", False)]


def test_a_record_without_a_time_is_as_old_as_nobody_knows():
    scene = Scene(OLD)
    assert [scene.after(100, lag_records=5, newest_ts_ms=-1) for _ in range(5)] == [[]] * 5


def test_either_bound_is_enough():
    both = {"name": "both", "kind": "lagging", "records": 1000, "behind": "5m", "for": "1s"}
    scene = Scene(both)
    scene.after(1, lag_records=2000, newest_ts_ms=None)
    assert scene.after(1) == [("both", "2,000 records wait", False)]


def test_without_a_connection_what_was_known_of_the_lag_stands():
    scene = Scene(MANY)
    scene.after(1, lag_records=5000)
    scene.after(30)
    assert [scene.after(60, is_connected=False, lag_records=0) for _ in range(5)] == [[]] * 5
    assert scene.watch.firing == ["many"]


def test_a_lag_is_not_over_while_one_of_its_bounds_is_not_known():
    scene = Scene({**OLD, "records": 1000})
    scene.after(1, lag_records=2000, newest_ts_ms=None)
    scene.after(60)
    assert [scene.after(60, lag_records=5) for _ in range(5)] == [[]] * 5
    assert scene.watch.firing == ["old"]
    scene.after(1, newest_ts_ms=int((DAY_S + 400) * 1000))
    assert scene.after(60)[0][2]


@pytest.mark.parametrize("why", ["is_repeating", "is_backlog"])
def test_who_catches_up_says_so(why):
    scene = Scene(MANY)
    scene.after(1, lag_records=5000, **{why: True})
    told = scene.after(30)
    assert told[0][1] == "5,000 records wait (catching up with a backlog)"
    assert scene.incidents[0].details["catching_up"] is True


def test_an_incident_carries_its_rule_and_the_figures_behind_it():
    scene = Scene({**MANY, "severity": "page", "description": "the loop is slow"})
    scene.after(1, lag_records=5000, newest_ts_ms=int((DAY_S - 9) * 1000))
    scene.after(30)
    (incident,) = scene.incidents
    assert (incident.kind, incident.severity) == ("lagging", "page")
    assert incident.details == {
        "quiet_ms": 31_000,
        "lag_records": 5000,
        "behind_ms": 40_000,
        "description": "the loop is slow",
    }


def test_a_wall_clock_set_back_is_no_lag_and_breaks_nothing():
    scene = Scene(OLD, SILENT)
    scene.wall_s -= 3600
    newest_ts_ms = int(DAY_S * 1000)
    for n_records in range(1, 6):
        assert scene.after(60, lag_records=1, newest_ts_ms=newest_ts_ms, n_records=n_records) == []


def test_a_wall_clock_set_forth_is_a_lag_only_where_records_wait_that_long():
    scene = Scene(OLD, SILENT)
    scene.click(1)
    scene.wall_s += 3600
    newest_ts_ms = int(DAY_S * 1000)
    for _ in range(3):
        # Something waits at every look, and is read before the next.
        assert scene.after(60, lag_records=3, newest_ts_ms=newest_ts_ms, n_records=1) == []
        assert scene.after(60, lag_records=0) == []


@given(
    jumps=st.lists(
        st.tuples(
            st.floats(0.0, 1e4),
            st.floats(-1e12, 1e12),
            st.none() | st.integers(0, 10**9),
            st.none() | st.integers(-1, 2**62),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_firing_and_resolved_take_turns_whatever_the_clocks_say(jumps):
    scene = Scene(SILENT, MANY, OLD)
    for seconds, jump_s, lag, newest_ts_ms, is_connected in jumps:
        scene.wall_s += jump_s
        scene.after(seconds, lag_records=lag, newest_ts_ms=newest_ts_ms, is_connected=is_connected)
    for name in ("no_clicks", "many", "old"):
        states = [one.is_resolved for one in scene.incidents if one.name == name]
        assert states == [bool(number % 2) for number in range(len(states))]
        assert (name in scene.watch.firing) == (len(states) % 2 == 1)
