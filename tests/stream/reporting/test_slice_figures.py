import re

from stream.reporting.bar_plots import MAX_BARS
from stream.reporting.slice_figures import slices_plots, slices_table
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def figure(value, n=9):
    return {"total": value, "events": value / 2, "samples": {"total": n, "events": n}}


def run_with(**slices):
    return run_of([clicks_only(1, recall=0.4, slices=slices)])


def test_recall_and_ctr_are_drawn_for_the_slices_that_have_them():
    recall, ctr = slices_plots(rich_run_of())
    assert len(recall.layout["yaxis"]["ticktext"]) == 7
    assert len(ctr.layout["yaxis"]["ticktext"]) == 8
    assert "item=new" in recall.layout["yaxis"]["ticktext"]
    assert "place=1" in ctr.layout["yaxis"]["ticktext"]


def test_bars_belong_to_their_window_and_the_line_is_what_all_have():
    (plot,) = slices_plots(run_with(a={"recall@20": figure(0.5)}, b={"recall@20": figure(0.2)}))
    bars = {one["meta"]["window"]: one["x"] for one in plot.traces if one["type"] == "bar"}
    assert bars == {"events": [0.25, 0.1], "total": [0.5, 0.2]}
    (across,) = [one for one in plot.traces if one["type"] == "scatter"]
    assert (across["x"], across["y"]) == ([0.4, 0.4], [-0.5, 1.5])
    assert across["meta"]["window"] == "total"


def test_of_many_slices_the_first_are_drawn_and_it_is_said():
    slices = {f"s{n}": {"recall@20": figure(0.5)} for n in range(MAX_BARS + 3)}
    (plot,) = slices_plots(run_with(**slices))
    assert len(plot.traces[0]["x"]) == MAX_BARS
    assert plot.caption.startswith(f"Of {MAX_BARS + 3} slices the first {MAX_BARS}. ")


def test_the_table_has_a_row_for_each_slice():
    html = slices_table(run_with(a={"recall@20": figure(0.5, n=1234)}, b={"ctr": figure(0.02)}))
    cells = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.text))
    assert "a 1,234 \u2013 0.500 \u2013" in cells
    assert "b \u2013 9 \u2013 2.00 %" in cells


def test_what_is_no_slice_is_passed_by():
    run = run_of([clicks_only(1, slices={"a": 7, "b": {"recall@20": "x"}, "c": None})])
    assert (slices_plots(run), slices_table(run)) == ([], None)
