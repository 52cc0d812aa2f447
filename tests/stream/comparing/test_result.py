import json

import pytest

from stream.comparing.result import MAX_STRETCHES_TOLD, better_side
from tests.runs import write_shop
from tests.stream.comparing.comparisons import lone, record_of


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    shop = write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 4000)
    return record_of(shop, lone("popularity"), lone("session_knn"))


@pytest.mark.parametrize(
    ("name", "difference", "interval", "better"),
    [
        ("recall@20", 0.1, (0.05, 0.15), "b"),
        ("recall@20", -0.1, (-0.15, -0.05), "a"),
        ("log_loss", -0.1, (-0.15, -0.05), "b"),
        ("recall@20", 0.1, (-0.05, 0.25), None),
        ("recall@20", 0.0, (0.0, 0.0), None),
    ],
)
def test_who_is_better_depends_on_the_interval_and_on_what_is_good(
    name, difference, interval, better
):
    assert better_side(name, difference, interval) == better


def test_it_is_json_as_it_is(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_what_differs_and_who_answered_is_told(record):
    assert record["settings"] == [{"key": "champion", "a": "popularity", "b": "session_knn"}]
    assert record["a"] == {"name": "a.yaml", "champion": "popularity"}
    assert record["headline"] == "recall@20"


def test_stretches_add_up_to_the_whole_and_are_few(record):
    figure, told = record["metrics"]["recall@20"], record["stretches"]["recall@20"]
    assert {len(column) for column in told.values()} == {len(told["events"])}
    assert 2 < len(told["events"]) <= MAX_STRETCHES_TOLD
    assert sum(told["samples"]) == figure["samples"]
    weighted = sum(n * d for n, d in zip(told["samples"], told["difference"], strict=True))
    assert weighted / figure["samples"] == pytest.approx(figure["difference"])
    assert told["difference_since_start"][-1] == pytest.approx(figure["difference"])
    assert told["interval_since_start"][-1] == pytest.approx(figure["interval"])
    assert told["events"][-1] == record["events"]


def test_halves_are_of_about_as_many_samples_and_add_up(record):
    figure = record["metrics"]["recall@20"]
    first, second = figure["halves"]
    assert first["samples"] + second["samples"] == figure["samples"]
    assert abs(first["samples"] - second["samples"]) < 0.1 * figure["samples"]
    both = sum(half["samples"] * half["difference"] for half in (first, second))
    assert both / figure["samples"] == pytest.approx(figure["difference"])


def test_a_verdict_needs_no_more_events_and_a_doubt_some(record):
    sure = [figure["more_events"] for figure in record["metrics"].values() if figure["better"]]
    doubts = [figure for figure in record["metrics"].values() if not figure["better"]]
    assert record["metrics"]["recall@20"]["better"] == "b"
    assert set(sure) == {0}
    assert all(figure["more_events"] is None or figure["more_events"] > 0 for figure in doubts)
