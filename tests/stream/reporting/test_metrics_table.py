import numpy as np
import pytest

from stream.reporting.metrics_table import (
    CHAMPION,
    Figure,
    groups_of,
    is_recall,
    longest_recall,
    read_metrics,
)
from tests.stream.reporting.rich_run import SHADOWS, metrics_record


def everything(metric):
    parts = ["events", "time", "total", "difference", "interval_low", "interval_high"]
    return frozenset([*parts, "time_low", "time_high", "faded"])


def record(ts_ms, **figures):
    return {"name": "metrics", "events": ts_ms, "watermark_ms": ts_ms, "metrics": figures}


def test_a_figure_that_comes_late_or_goes_leaves_gaps():
    records = [record(1), record(2, ctr={"total": 0.5}), record(3)]
    table = read_metrics(records, everything)
    np.testing.assert_array_equal(table.column(CHAMPION, "ctr", "total"), [np.nan, 0.5, np.nan])
    assert table.ts_ms_R.tolist() == [1, 2, 3]
    assert table.events_R.tolist() == [1.0, 2.0, 3.0]


def test_champion_shadows_and_policies_are_kept_apart():
    table = read_metrics([metrics_record(9, 10, 1.0)], everything)
    assert table.subjects("shadow", "recall@20") == list(SHADOWS)
    assert table.subjects("policy", "ctr")[1] == "explore <10%>"
    assert table.column("shadow:item_knn", "recall@20", "total") is not None
    assert table.column("policy:explore <10%>", "ctr", "events") is not None


def test_an_interval_is_one_or_one_for_each_window():
    found = read_metrics(
        [record(1, ctr={"interval": {"time": [0.1, 0.2]}}, mrr={"interval": [-1, 1.5]})],
        everything,
    )
    assert found.column(CHAMPION, "ctr", "time_low") == [0.1]
    assert found.column(CHAMPION, "ctr", "time_high") == [0.2]
    assert found.column(CHAMPION, "mrr", "interval_low") == [-1.0]
    assert found.column(CHAMPION, "mrr", "interval_high") == [1.5]


def test_only_what_is_wanted_is_kept():
    table = read_metrics(
        [metrics_record(9, 10, 1.0)],
        lambda metric: frozenset({"time"} if metric == "ctr" else ()),
    )
    assert {(figure.metric, figure.part) for figure in table.column_of} == {("ctr", "time")}


@pytest.mark.parametrize(
    "odd",
    [
        {"watermark_ms": "noon", "metrics": {}},
        {"metrics": {"ctr": {"total": 1.0}}},
        {"name": "something", "watermark_ms": 1},
    ],
)
def test_a_record_without_a_time_or_of_another_name_is_passed_by(odd):
    assert len(read_metrics([odd], everything)) == 0


@pytest.mark.parametrize("odd", [None, 3, [1], {"total": None}, {"total": "x"}, {"total": True}])
def test_a_figure_of_another_shape_is_no_value(odd):
    column = read_metrics([record(1, ctr=odd)], everything).column(CHAMPION, "ctr", "total")
    assert column is None or np.isnan(column).all()


def test_the_windows_of_a_metric_are_told_in_the_order_of_the_choice():
    table = read_metrics([record(1, ctr={"total": 1.0, "time": 1.0, "faded": 1.0})], everything)
    assert table.windows("ctr") == ["time", "total"]
    assert table.shown_windows() == ["time", "total"]
    assert Figure(CHAMPION, "ctr", "faded") in table.column_of


def test_the_last_record_is_kept_as_it_came():
    records = [record(1), {**record(2), "reliability": [1]}]
    assert read_metrics(records, everything).last["reliability"] == [1]


def test_the_longest_recall_is_by_number_not_by_name():
    assert longest_recall({"recall@9": 0, "recall@20": 0, "ndcg@50": 0}) == "recall@20"
    assert longest_recall({"ctr": 0}) is None
    assert [is_recall(name) for name in ("recall@5", "recall", "recall@x")] == [True, False, False]


def test_a_summary_has_the_same_groups():
    groups = groups_of({"metrics": {"ctr": {}}, "shadows": {"a": {}}, "policies": None})
    assert groups == [("champion", {"ctr": {}}), ("shadow:a", {})]
