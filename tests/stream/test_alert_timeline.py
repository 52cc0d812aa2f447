import pytest

from stream.alert_timeline import timeline
from stream.reporting.alert_episodes import AlertLog, Episode

SPAN_MS = (0, 200)


def row(*episodes: Episode) -> str:
    """The cells of one rule, 20 of 10 ms each."""
    return timeline(AlertLog(list(episodes), []), ["r"], SPAN_MS, 22)[0].plain[2:]


def episode(pending_ms, fired_ms, ended_ms, told_ms=None) -> Episode:
    return Episode("r", {}, pending_ms, fired_ms, ended_ms, told_ms=told_ms)


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        pytest.param([], "····················", id="quiet"),
        pytest.param([episode(20, 50, 79, 50)], "··░░░███············", id="pending-then-firing"),
        pytest.param([episode(50, 50, None, 50)], "·····███████████████", id="still-firing"),
        pytest.param([episode(20, None, 49)], "··░░░···············", id="never-fired"),
        pytest.param([episode(20, 20, 59)], "··▒▒▒▒··············", id="never-told"),
        pytest.param([episode(20, 20, 79, 40)], "··▒▒████············", id="told-later"),
        pytest.param([episode(55, 55, 56, 55)], "·····█··············", id="shorter-than-a-cell"),
        pytest.param(
            [episode(20, None, 29), episode(25, 26, 27, 26)],
            "··█·················",
            id="the-most-that-happened",
        ),
        pytest.param([episode(-50, 300, None, 300)], "░░░░░░░░░░░░░░░░░░░█", id="beyond-the-ends"),
    ],
)
def test_a_row_shows_what_happened_when(episodes, expected):
    assert row(*episodes) == expected


def test_every_row_is_as_wide_as_asked_and_the_last_says_when(capsys):
    log = AlertLog([episode(0, 0, None, 0)], [])
    rows = timeline(log, ["r", "a_longer_name", "x" * 60], (0, 86_400_000), 90)
    assert [len(text.plain) for text in rows] == [90] * 4
    assert rows[-1].plain.split() == ["1970-01-01", "00:00", "1970-01-02", "00:00"]
    assert rows[2].plain.startswith("x" * 29 + "… ·")


def test_a_single_instant_has_a_row_too():
    [first, _] = timeline(AlertLog([episode(5, 5, None, 5)], []), ["r"], (5, 5), 22)
    assert first.plain == "r " + "█" + "·" * 19


def test_a_narrow_terminal_gets_cells_all_the_same():
    [first, _] = timeline(AlertLog([], []), ["r"], SPAN_MS, 5)
    assert first.plain == "r " + "·" * 20
