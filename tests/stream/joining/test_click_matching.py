import numpy as np

from stream.joining.click_matching import VERDICTS, match
from stream.joining.closed_requests import ClosedRequests
from stream.joining.impressions import PendingLists
from stream.values import Clicks
from tests.stream.joining.test_impressions import ANN, BOB, pending


def verdicts(lists: PendingLists, closed: ClosedRequests, *rows: object) -> list[str]:
    user, item, ts, request = zip(*rows, strict=True)
    clicks = Clicks(["?"] * len(rows), ["?"] * len(rows), np.array(ts), request_B=list(request))
    matches = match(lists, closed, clicks, np.array(user), np.array(item))
    return [VERDICTS[verdict] for verdict in matches.verdict_B.tolist()]


def test_a_shown_item_is_clicked_once_whether_the_click_names_its_request_or_not():
    lists = pending(("r", ANN, 5, [11, 12]))
    rows = [(ANN, 11, 6, None), (ANN, 11, 6, "r"), (ANN, 12, 7, "r"), (ANN, 12, 7, None)]
    assert verdicts(lists, ClosedRequests(9), *rows) == [
        "joined_clicks", "repeated_clicks", "joined_clicks", "repeated_clicks",
    ]  # fmt: skip


def test_of_the_reasons_why_a_click_meets_nothing_user_goes_before_time_before_item():
    lists = pending(("r", ANN, 5, [11]))
    rows = [(BOB, 12, 99, "r"), (ANN, 12, 99, "r"), (ANN, 12, 6, "r"), (ANN, 12, 6, None)]
    assert verdicts(lists, ClosedRequests(9), *rows) == [
        "orphan_clicks", "late_clicks", "clicks_not_shown", "organic_clicks",
    ]  # fmt: skip


def test_a_click_on_a_closed_request_is_late_or_an_orphan_as_it_was_closed():
    closed = ClosedRequests(9)
    closed.add(["over"], "matured")
    closed.add(["lost"], "orphan")
    rows = [(ANN, 11, 6, "over"), (ANN, 11, 6, "lost"), (ANN, 11, 6, "unheard of")]
    found = verdicts(pending(("r", ANN, 5, [11])), closed, *rows)
    assert found == ["late_clicks", "orphan_clicks", "orphan_clicks"]


def test_matches_say_which_shown_items_were_joined_and_how_many_clicks_came_to_what():
    lists = pending(("r", ANN, 5, [11, 12]))
    clicks = Clicks(["?"] * 3, ["?"] * 3, np.array([6, 6, 7]))
    matches = match(lists, ClosedRequests(9), clicks, np.full(3, ANN), np.array([12, 13, 11]))
    assert matches.joined.tolist() == [1, 0]
    assert matches.is_joined_B.tolist() == [True, False, True]
    assert list(matches.counts().values()) == [2, 0, 0, 0, 0, 1]
