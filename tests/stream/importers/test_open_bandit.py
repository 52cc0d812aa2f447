import gzip
from collections import Counter
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import pytest

from stream.decoding import normalised
from stream.errors import UsageError
from stream.events import Click, Event, Impression, Item
from stream.importers.open_bandit import open_bandit_events
from stream.importers.rows import BadRows
from tests.stream.importers.real_data import real_data

HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
    "user-item_affinity_0\n"
)
DAY = "2019-11-24 00:00:"
DAY_MS = 1_574_553_600_000
USER = blake2b(b"aa\x1fbb", digest_size=8).hexdigest()
CONTEXT = {"position": 2, "user_feature_0": "aa", "user_feature_1": "bb"}


def row(time: str, item: str = "7", click: str = "0", propensity: str = "0.25") -> str:
    return f"0,{DAY}{time}+00:00,{item},2,{click},{propensity},aa,bb,0.0\n"


def imported(source: Path, *, with_catalogue: bool = True) -> list[Event]:
    bad_rows = BadRows()
    events = list(open_bandit_events(source, bad_rows, with_catalogue=with_catalogue))
    assert bad_rows.first == ()
    return events


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    (tmp_path / "random-men.csv").write_text(HEADER + row("02.5") + row("04.1239", click="1"))
    (tmp_path / "bts-men.csv.gz").write_bytes(gzip.compress((HEADER + row("03", "8")).encode()))
    (tmp_path / "men-item_context.csv").write_text(
        ",item_id,item_feature_0,item_feature_1\n0,7,-0.5,cc\n"
    )
    return tmp_path


def test_rows_become_impressions_with_their_clicks_in_order_of_time(campaign: Path) -> None:
    assert imported(campaign) == [
        Item("7", DAY_MS + 2_500, attributes={"item_feature_0": -0.5, "item_feature_1": "cc"}),
        Impression("random-men-0", USER, ["7"], DAY_MS + 2_500, [0.25], "random", CONTEXT),
        Impression("bts-men-0", USER, ["8"], DAY_MS + 3_000, [0.25], "bts", CONTEXT),
        Impression("random-men-1", USER, ["7"], DAY_MS + 4_123, [0.25], "random", CONTEXT),
        Click(USER, "7", DAY_MS + 4_123, request_id="random-men-1"),
    ]


def test_an_impression_may_say_how_likely_the_other_policy_would_have_shown_its_item(
    campaign: Path,
) -> None:
    rows = row("03", "8", propensity="0.2") + row("05", "8", propensity="0.6") + row("06")
    (campaign / "bts-men.csv.gz").write_bytes(gzip.compress((HEADER + rows).encode()))
    events = list(open_bandit_events(campaign, BadRows(), with_catalogue=False, with_targets=True))
    shown = [event for event in events if isinstance(event, Impression)]
    # Item 8: 2 / (1 / 0.2 + 1 / 0.6) = 0.3, item 7: 0.25; together they must be 1.
    told = {event.request_id: (event.targets or {}) for event in shown}
    assert told["random-men-0"]["bts"] == pytest.approx([0.25 / 0.55])
    assert told["bts-men-0"] == {"random": [0.0]}  # it never showed item 8
    assert told["bts-men-2"] == {"random": [1.0]}


def test_targets_need_the_log_of_another_policy(campaign: Path) -> None:
    with pytest.raises(UsageError, match="targets are read from another policy's"):
        open_bandit_events(campaign / "bts-men.csv.gz", BadRows(), with_targets=True)


def test_without_the_catalogue_no_items_come(campaign: Path) -> None:
    events = imported(campaign, with_catalogue=False)
    assert events == [event for event in imported(campaign) if not isinstance(event, Item)]
    assert len(events) == 4


def test_one_log_may_be_named_and_still_finds_its_items(campaign: Path) -> None:
    events = imported(campaign / "bts-men.csv.gz")
    assert [type(event) for event in events] == [Item, Impression]


def test_a_log_without_item_features_is_enough(campaign: Path) -> None:
    (campaign / "men-item_context.csv").unlink()
    assert Counter(map(type, imported(campaign))) == {Impression: 3, Click: 1}


def test_users_differ_when_a_letter_moves_between_their_features(campaign: Path) -> None:
    rows = row("01") + row("02").replace("aa,bb", "aab,b") + row("03")
    (campaign / "random-men.csv").write_text(HEADER + rows)
    events = imported(campaign / "random-men.csv", with_catalogue=False)
    users = [event.user for event in events if isinstance(event, Impression)]
    assert users[0] == users[2] != users[1]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("0,1,2\n", "expected 9 fields, got 3"),
        (row("02", click="2"), "click: expected 0 or 1, got '2'"),
        (row("02", item=""), "item_id: expected 1 to 1024 characters, got 0"),
        (row("02", propensity="0"), "Expected a probability in (0, 1], got 0.0"),
        (row("02", propensity="nan"), "propensity_score: expected a number, got 'nan'"),
        (row("02", propensity="x"), "propensity_score: expected a number, got 'x'"),
        (row("noon"), "Expected milliseconds or ISO 8601"),
        (row("02").replace(",2,", ",top,"), "position: expected a whole number, got 'top'"),
        ('"unclosed\n', "expected comma-separated fields"),
    ],
)
def test_a_bad_row_is_reported_and_passed_by(campaign: Path, bad: str, reason: str) -> None:
    path = campaign / "random-men.csv"
    path.write_text(HEADER + row("01") + bad + row("03"))
    bad_rows = BadRows()
    events = list(open_bandit_events(path, bad_rows, with_catalogue=False))
    requests = [event.request_id for event in events if isinstance(event, Impression)]
    assert requests == ["random-men-0", "random-men-2"]
    assert bad_rows.n_rows == 1
    assert bad_rows.first[0].startswith(f"{path}:3: {reason}")


def test_a_bad_item_row_is_reported(campaign: Path) -> None:
    path = campaign / "men-item_context.csv"
    path.write_text(path.read_text() + "1,8,heavy,cc\n")
    bad_rows = BadRows()
    events = list(open_bandit_events(campaign, bad_rows))
    assert Counter(map(type, events))[Item] == 1
    assert bad_rows.first == (f"{path}:3: item_feature_0: expected a number, got 'heavy'",)


def test_a_log_that_is_not_in_order_of_time_is_refused(campaign: Path) -> None:
    path = campaign / "random-men.csv"
    path.write_text(HEADER + row("02") + row("01"))
    with pytest.raises(UsageError, match=r"random-men\.csv:3: is earlier than the row before it"):
        list(open_bandit_events(path, BadRows()))


def test_a_log_that_is_there_twice_is_refused(campaign: Path) -> None:
    (campaign / "bts-men.csv").write_text(HEADER + row("03"))
    with pytest.raises(UsageError, match=r"bts-men\.csv is there twice, once as \.gz; keep one"):
        open_bandit_events(campaign, BadRows())


def test_two_campaigns_are_refused_because_their_items_share_ids(campaign: Path) -> None:
    (campaign / "random-women.csv").write_text(HEADER + row("03"))
    with pytest.raises(UsageError, match="holds the campaigns men, women, whose item ids mean"):
        open_bandit_events(campaign, BadRows())


def test_a_header_without_a_needed_column_is_refused(campaign: Path) -> None:
    (campaign / "random-men.csv").write_text(HEADER.replace("click", "clicked"))
    with pytest.raises(UsageError, match=r"random-men\.csv:1: the header lacks click; got"):
        open_bandit_events(campaign, BadRows())


def test_a_folder_without_logs_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "men-item_context.csv").touch()
    with pytest.raises(
        UsageError, match=r"no Open Bandit log; looked for random-<campaign>\.csv and bts-"
    ):
        open_bandit_events(tmp_path, BadRows())


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder or file; looked for"):
        open_bandit_events(tmp_path / "nowhere", BadRows())


def test_the_real_log_has_its_published_counts_and_is_in_order_of_time() -> None:
    events = imported(real_data("open-bandit"))
    impressions = [event for event in events if isinstance(event, Impression)]
    policy_of = {impression.request_id: impression.policy for impression in impressions}
    assert len(policy_of) == len(impressions)
    assert Counter(policy_of.values()) == {"random": 10_000, "bts": 10_000}
    clicks = [event for event in events if isinstance(event, Click)]
    n_clicks_by_policy = Counter(
        policy_of[click.request_id] for click in clicks if click.request_id is not None
    )
    assert n_clicks_by_policy == {"random": 46, "bts": 69}
    assert sum(isinstance(event, Item) for event in events) == 34
    assert all(one.ts <= other.ts for one, other in pairwise(events))


def test_the_real_events_are_normal_already() -> None:
    events = imported(real_data("open-bandit"))
    before = [repr(event) for event in events]
    assert [repr(normalised(event)) for event in events] == before
