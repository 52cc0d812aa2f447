import io
import re

import pytest
from rich.console import Console

from stream.commands.demo import show_demo
from stream.commands.terminal import Terminal
from stream.errors import UsageError
from stream.sources.simulator import SimulatorConfig

SHOP = SimulatorConfig.model_validate(
    {
        "clicks": 1500,
        "users": 40,
        "items": 40,
        "days": 12,
        "switching_ratio": 0,
        "events": [{"kind": "broken_policy", "day": 5, "days": 1}],
    }
)
CONFIG = """\
champion: item_knn
shadows: [popularity]
evaluator: {window_events: 200, window_time: 1d, emit_events: 20}
batch: {events: 32}
alerts:
  rules:
    - {name: ctr_drop, kind: drop, metric: ctr, reference: 1d, share: 0.4, for: 1h, react: none}
    - {name: recall_low, kind: below, metric: recall@20, threshold: 1.0, for: 1h, react: freeze}
threads: 1
"""


def show(out):
    """What the demo prints; to standard output first."""
    printed, beside = io.StringIO(), io.StringIO()
    terminal = Terminal(Console(file=printed, width=100), Console(file=beside, width=100), ())
    show_demo(terminal, out, SHOP, CONFIG)
    return printed.getvalue(), beside.getvalue()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    out = tmp_path_factory.mktemp("demos") / "demo"
    printed, beside = show(out)
    return out, printed, beside


def test_it_tells_of_the_shop_the_ranking_and_the_days(told):
    _, printed, beside = told
    assert "alert ctr_drop is firing" in beside
    assert "1,500 click" in printed
    assert re.search(r"item_knn +0\.\d{3}", printed)
    [bars] = re.findall(r"^popularity +([▁-█]+) ", printed, re.MULTILINE)
    assert len(bars) == SHOP.days


def test_it_tells_the_story_in_order_and_ends_with_the_alerts_and_the_report(told):
    out, printed, _ = told
    story = printed.partition("What happened, by the time of the shop\n")[2]
    assert re.search(r"day 6, 00:00 +for 1d a bug turns 100% of the shop's lists around", story)
    assert re.search(r"day 1, .* reaction freeze to recall_low: begin", story)
    assert story.index("alert recall_low is firing") < story.index("a bug turns")
    assert re.search(r"Alert ctr_drop fired on day 6, \d\d:\d\d and was resolved on day", story)
    assert re.search(r"Alert recall_low fired on day 1, \d\d:\d\d and still does\.", story)
    assert f"The report: {out / 'run' / 'report.html'}" in story
    assert (out / "run" / "report.html").stat().st_size > 1_000_000


def test_the_commands_it_proposes_name_what_is_there(told):
    out, printed, _ = told
    proposed = [line.split() for line in printed.partition("Next\n")[2].splitlines()]
    assert [words[:2] for words in proposed] == [
        ["freshrank", "inspect"],
        ["freshrank", "check"],
        ["freshrank", "replay"],
    ]
    for words in proposed:
        assert (out / words[2]).exists()
    assert not (out / proposed[2][4]).exists()


def test_a_second_demo_starts_afresh_and_leaves_what_is_not_its_own(told):
    out, printed, _ = told
    (out / "mine.txt").write_text("kept")
    (out / "run" / "stale.txt").write_text("gone")
    again, _ = show(out)
    assert (out / "mine.txt").read_text() == "kept"
    assert not (out / "run" / "stale.txt").exists()
    table = "Top 20"
    assert again[again.index(table) :][:400] == printed[printed.index(table) :][:400]


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("kept")
    with pytest.raises(UsageError, match="was not made by a demo; name another folder"):
        show(tmp_path)
    assert (tmp_path / "run" / "precious.txt").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
