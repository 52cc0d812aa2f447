import re

from stream.reporting.offpolicy_table import MAX_ROWS, offpolicy_table
from stream.reporting.result_tables import clicks_table
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of

FIGURES = {
    "ips_ctr": {
        "total": 0.02,
        "samples": {"total": 1200},
        "interval": {"total": [0.01, 0.03]},
    },
    "clipped_ips_ctr": {
        "total": 0.015,
        "samples": {"total": 1200},
        "bounds": {"total": [0.0, 0.25]},
    },
    "effective_samples": {"total": 345.6, "samples": {"total": 1200}},
    "mean_weight": {"total": 0.98765, "samples": {"total": 1200}},
}


def rows(html):
    """The text of a table's cells, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html.text)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def run(metrics=None, policies=None):
    return run_of([clicks_only(1, metrics=metrics or {}, policies=policies or {})])


def test_each_estimate_stands_with_its_interval_or_its_bounds():
    header, row = rows(offpolicy_table(run(policies={"new": FIGURES})))
    assert header == [
        *("policy asked about", "shown items", "effective samples", "mean weight"),
        *("IPS", "clipped IPS"),
    ]
    assert row == [
        *("new", "1,200", "346", "0.988"),
        "2.00 % 95 %: 1.00 % to 3.00 %",
        "1.50 % bounds: 0.00 % to 25.00 %",
    ]


def test_the_policy_that_the_champion_makes_comes_first_under_its_name():
    _, champion, other = rows(offpolicy_table(run(FIGURES, {"new": FIGURES})))
    assert (champion[0], other[0]) == ("made of transformer", "new")


def test_where_nobody_is_asked_about_there_is_no_table():
    assert offpolicy_table(run()) is None
    assert offpolicy_table(rich_run_of()) is None


def test_names_from_outside_are_escaped_and_rows_are_few():
    html = offpolicy_table(run(policies={f"<b>{n}": FIGURES for n in range(MAX_ROWS + 5)}))
    assert "<b>0" not in html.text
    assert len(rows(html)) == 1 + MAX_ROWS


def test_a_policy_that_showed_nothing_has_no_row_among_those_that_did():
    shown = {"ctr": {"total": 0.1, "samples": {"total": 10}}}
    table = clicks_table(run(shown, {"old": shown, "new": FIGURES}))
    assert [row[0] for row in rows(table)] == ["lists of", "all policies", "old"]
