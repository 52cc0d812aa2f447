import io
import re

import pytest
from rich.console import Console

from stream.progress import Progress


class FakeRun:
    """A run of which the test says how far it is."""

    def __init__(self, n_events=0, recall=None, window=None):
        self.n_events = self.n_records = n_events
        self.recall = recall
        self.window = window

    def metrics(self):
        if self.recall is None:
            return {"metrics": {}}
        figure = {"total": self.recall, "samples": {"total": self.n_events}}
        if self.window is not None:
            figure["events"] = self.window
            figure["samples"]["events"] = 2000
        return {"metrics": {"recall@20": figure}}


class FakeClock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return FakeClock()


def plain(clock, n_records=None, quiet=False):
    """A progress that is no terminal's, and what it wrote."""
    written = io.StringIO()
    console = Console(file=written, width=100, quiet=quiet)

    def ratio(n_done):
        return n_done / n_records if n_records else None

    return Progress(console, "recall@20", ratio, clock_s=clock), written


def live(clock, ratio):
    """A progress on a terminal, and what it wrote."""
    written = io.StringIO()
    console = Console(file=written, width=80, force_terminal=True, force_interactive=True)
    return Progress(console, "recall@20", lambda _n_done: ratio, clock_s=clock), written


def without_codes(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_nothing_is_said_before_ten_seconds(clock):
    progress, written = plain(clock)
    with progress:
        progress.start(FakeRun())
        clock.now_s += 9.9
        progress.update(FakeRun(5000))
    assert written.getvalue() == ""


def test_a_line_every_ten_seconds_tells_how_it_goes(clock):
    progress, written = plain(clock, n_records=40_000)
    with progress:
        progress.start(FakeRun())
        for n_events in range(1000, 26_000, 1000):
            clock.now_s += 1
            progress.update(FakeRun(n_events, recall=0.25, window=0.275))
    assert written.getvalue().splitlines() == [
        "10,000 events, 1,000 events/s, recall@20 0.250 (last 2,000: 0.275), 25% read, 33s left",
        "20,000 events, 1,000 events/s, recall@20 0.250 (last 2,000: 0.275), 50% read, 21s left",
    ]


def test_the_rate_is_of_the_last_seconds(clock):
    progress, written = plain(clock)
    with progress:
        progress.start(FakeRun())
        clock.now_s += 10
        progress.update(FakeRun(10_000))
        clock.now_s += 10
        progress.update(FakeRun(11_000))
    assert written.getvalue().splitlines() == [
        "10,000 events, 1,000 events/s",
        "11,000 events, 100 events/s",
    ]


def test_a_resumed_run_says_where_it_goes_on_and_counts_only_its_own_speed(clock):
    progress, written = plain(clock, n_records=8000)
    with progress:
        progress.start(FakeRun(4000))
        progress.update(FakeRun(4000))
        clock.now_s += 10
        progress.update(FakeRun(5000))
    assert written.getvalue().splitlines() == [
        "resuming after 4,000 events",
        "5,000 events, 100 events/s, 62% read, 30s left",
    ]


def test_the_time_left_is_not_told_when_everything_is_read_ahead(clock):
    progress, written = plain(clock, n_records=5000)
    with progress:
        progress.start(FakeRun())
        progress.update(FakeRun(100))
        clock.now_s += 10
        progress.update(FakeRun(5000))
    assert written.getvalue() == "5,000 events, 500 events/s, 100% read\n"


def test_a_quiet_console_stays_quiet(clock):
    progress, written = plain(clock, quiet=True)
    with progress:
        progress.start(FakeRun(10))
        clock.now_s += 10
        progress.update(FakeRun(5000))
    assert written.getvalue() == ""


def test_stopping_is_told_once(clock):
    progress, written = plain(clock)
    with progress:
        progress.start(FakeRun())
        progress.stopping()
        progress.update(FakeRun(256))
        progress.update(FakeRun(512))
    assert written.getvalue() == "stopping after this batch\n"


def test_a_terminal_shows_a_bar_and_how_it_goes(clock):
    progress, written = live(clock, 0.25)
    with progress:
        progress.start(FakeRun())
        clock.now_s += 1
        progress.update(FakeRun(2000, recall=0.5, window=0.625))
        progress._live.refresh()
    shown = without_codes(written.getvalue())
    assert "25%" in shown
    assert "2,000 events, 2,000 events/s, recall@20 0.500 (last 2,000: 0.625)" in shown


def test_a_terminal_says_how_to_abort_while_it_stops(clock):
    progress, written = live(clock, None)
    with progress:
        progress.start(FakeRun())
        progress.stopping()
        progress._live.refresh()
    assert "Ctrl-C again to abort at once" in without_codes(written.getvalue())


def test_a_terminal_gets_its_cursor_back(clock):
    progress, written = live(clock, None)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert written.getvalue().rindex("\x1b[?25h") > written.getvalue().rindex("\x1b[?25l")
