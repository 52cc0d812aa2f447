import re

import pytest

from stream.reporting.alert_episodes import read_alerts
from stream.reporting.dead_letters import Reason, Sample
from stream.reporting.result_tables import (
    alerts_table,
    clicks_table,
    conversions_table,
    dead_letters_list,
    learners_table,
    quiet_rules,
)
from tests.stream.reporting.rich_run import HOSTILE, alert_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def rows(html):
    """The text of a table's cells, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html.text)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]
    return [[re.sub(r"<[^>]+>", " ", cell).strip() for cell in row] for row in cells]


def test_learners_stand_side_by_side_the_champion_first():
    header, *body = rows(learners_table(rich_run_of()))
    assert header[:3] == ["learner", "recall@20", "last"]
    assert header[-1] == "champion ahead by"
    assert [row[0] for row in body] == ["transformer", "popularity", "item_knn", "session_knn"]
    assert re.fullmatch(r"[+-]0\.\d{3} \[[+-]0\.\d{3}, [+-]0\.\d{3}\]", body[1][-1])


def test_a_lead_is_good_or_bad_only_where_its_interval_says_so():
    def tone(low, high):
        shadow = {"recall@20": {"total": 0.1, "difference": 0.1, "interval": [low, high]}}
        html = learners_table(run_of([clicks_only(1, shadows={"a": shadow})])).text
        return [name for name in ("good", "bad") if f'class="{name}"' in html]

    assert [tone(0.1, 0.2), tone(-0.1, 0.2), tone(-0.2, -0.1)] == [["good"], [], ["bad"]]


def test_beside_a_lead_stands_where_it_would_be_for_other_users():
    lead = {"total": 0.1, "difference": 0.1, "interval": [0.05, 0.15]}
    shadow = {"recall@20": lead | {"interval_by_user": [-0.01, 0.21]}}
    _, _, row = rows(learners_table(run_of([clicks_only(1, shadows={"a": shadow})])))
    assert row[-1].split() == ["+0.100", "[+0.050,", "+0.150]", "by", "user", "[-0.010,", "+0.210]"]


def test_an_alert_against_a_shadow_tells_the_worst_lead():
    fired = {"rule": "beaten", "kind": "worse_than", "state": "firing", "metric": "recall@20"}
    fired |= {"over": "time", "shadow": "item_knn", "value": -0.02, "threshold": 0.0}
    alerts = [fired | {"ts": 60_000, "since": 60_000, "severity": "page"}]
    _, row = rows(alerts_table(run_of([clicks_only(1)], alerts=read_alerts(alerts))))
    assert "ahead of item_knn" in row[2]
    assert row[6] == "-0.020"


def test_a_champion_without_shadows_is_not_ahead_of_anybody():
    header, row = rows(learners_table(run_of([clicks_only(1)])))
    assert "champion ahead by" not in header
    assert row[:2] == ["transformer", "0.500"]


def test_without_a_judged_click_there_are_no_learners_to_rank():
    assert learners_table(run_of([clicks_only(1, metrics={})])) is None


def test_click_figures_are_told_of_all_lists_and_by_policy():
    header, *body = rows(clicks_table(rich_run_of()))
    assert header[:4] == ["lists of", "shown items", "CTR", "request CTR"]
    assert [row[0] for row in body] == [
        "all policies",
        "popular-first",
        "explore &lt;10%&gt;",
        "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
    ]
    assert all(cell.endswith(" %") for cell in body[0][2:5])


def test_a_figure_that_is_not_kept_by_policy_is_a_dash_there():
    record = clicks_only(
        1,
        metrics={"ctr": {"total": 0.1}, "auc": {"total": 0.7}},
        policies={"a": {"ctr": {"total": 0.1, "samples": {"total": 1234}}}},
    )
    header, everything, policy = rows(clicks_table(run_of([record])))
    assert header[2:] == ["CTR", "AUC", "CTR, last"]
    assert everything[3] == "0.700"
    assert policy[1:] == ["1,234", "10.00 %", "\u2013", "\u2013"]


def test_without_lists_there_are_no_click_figures():
    assert clicks_table(run_of([clicks_only(1)])) is None


def test_what_was_told_of_conversions_stands_by_learner():
    told = {"total": 0.2, "samples": {"total": 1234}}
    record = clicks_only(
        1,
        metrics={"predicted_conversion_rate": told, "conversion_auc": {"total": 0.75}},
        shadows={"other": {"predicted_conversion_rate": told}, "silent": {}},
    )
    header, champion, shadow = rows(conversions_table(run_of([record])))
    assert header[:3] == ["learner", "clicked items", "predicted conversion rate"]
    assert champion[1:] == ["1,234", "20.00 %", "\u2013", "\u2013", "\u2013", "0.750"]
    assert shadow[0] == "other"


def test_without_predicted_conversions_there_is_no_table_of_them():
    assert conversions_table(run_of([clicks_only(1)])) is None


def test_alerts_tell_when_they_fired_how_bad_it_was_and_what_was_done():
    run = rich_run_of(n_records=144, alerts=read_alerts(alert_records()))
    _, recall, ctr, ctr_again = rows(alerts_table(run))
    assert recall[3:6] == ["2024-01-03 05:00", "2024-01-04 10:00", "1 d 5 h"]
    assert recall[7:] == ["0.300", "boost, rollback refused: no anchor is old enough"]
    assert ctr[-1] == "none"
    assert ctr_again[4] == "still firing"


def test_the_worst_value_is_looked_for_between_the_transitions():
    run = rich_run_of(n_records=144, alerts=read_alerts(alert_records()))
    told = [float(row[6].split()[0]) for row in rows(alerts_table(run))[1:]]
    assert told[0] < 0.24
    assert told[1] < 3.2


def test_the_worst_value_of_a_policy_s_alert_is_that_policy_s():
    rule = {"rule": "r", "kind": "below", "metric": "ctr", "over": "total", "policy": "a"}
    alerts = read_alerts([rule | {"state": "firing", "ts": 1, "value": 0.09}])
    record = clicks_only(
        2, metrics={"ctr": {"total": 0.01}}, policies={"a": {"ctr": {"total": 0.08}}}
    )
    [_, row] = rows(alerts_table(run_of([record], alerts=alerts)))
    assert row[6] == "8.00 %"
    assert "policy a" in row[2]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([(1, ["alert:upstream"])], "muted by alert:upstream, never told"),
        ([(1, ["alert:upstream"]), (60_000, [])], "told 1970-01-01 00:01"),
        ([(1, []), (2, ["silence:<b>"])], "later muted by silence:&lt;b&gt;"),
        ([(1, [])], ""),
    ],
)
def test_an_alert_that_was_muted_says_by_what_and_when_it_was_told(records, expected):
    rule = {"rule": "r", "kind": "below", "metric": "ctr", "over": "total", "state": "firing"}
    alerts = [rule | {"ts": ts_ms, "muted_by": muted_by} for ts_ms, muted_by in records]
    [_, row] = rows(alerts_table(run_of([clicks_only(2)], alerts=read_alerts(alerts))))
    assert expected in row[3]
    assert ("muted" in row[3]) == bool(expected)


def test_an_alert_says_what_its_notice_does_and_where_to_read_what_to_do():
    rule = {"rule": "r", "kind": "below", "metric": "ctr", "over": "total", "state": "firing"}
    told = {
        "severity": "page",
        "labels": {"alertname": "r", "severity": "page", "team": "shop"},
        "annotations": {"summary": HOSTILE},
        "runbook": 'https://wiki/"r"',
    }
    run = run_of([clicks_only(2)], alerts=read_alerts([rule | {"ts": 1} | told]))
    html = alerts_table(run).text
    assert "<small>page, team=shop</small>" in html
    assert '<a href="https://wiki/&quot;r&quot;">' in html
    assert "<img" not in html
    run = run_of([], alerts=read_alerts([rule | {"ts": 1, "runbook": "javascript:alert(1)"}]))
    assert "<a" not in alerts_table(run).text


def test_the_worst_value_of_a_drift_lies_on_the_side_that_it_went_to():
    rule = {"rule": "r", "kind": "drift", "metric": "log_loss", "over": "total", "threshold": None}
    for detected, worst in (("up", "0.400"), ("down", "0.200")):
        told = [{"ts": ts, "value": value} for ts, value in ((1, 0.2), (2, 0.4))]
        states = [{"state": "firing"}, {"state": "resolved"}]
        records = [
            rule | {"detected": detected} | one | state
            for one, state in zip(told, states, strict=True)
        ]
        [_, row] = rows(alerts_table(run_of([], alerts=read_alerts(records))))
        assert row[6] == worst


def test_without_an_alert_there_is_no_table():
    assert alerts_table(rich_run_of()) is None


def test_rules_that_never_fired_are_named():
    settings = {"alerts": {"rules": [{"name": "recall_low"}, {"name": "loss_high"}, "odd"]}}
    run = rich_run_of(settings=settings, alerts=read_alerts(alert_records()))
    assert quiet_rules(run) == ["loss_high"]
    assert quiet_rules(rich_run_of(settings={"alerts": {"rules": 3}})) == []


def test_dead_letters_are_told_by_reason_and_their_lines_stay_text():
    html = dead_letters_list(rich_run_of(reasons=[Reason("bad", 3, [Sample("f:1", HOSTILE)])])).text
    assert "<b>3</b> (100 %) bad" in html
    assert "<small>f:1</small>" in html
    assert "&lt;img src=x onerror=" in html
    assert "<img" not in html
    assert "\\u202e" in html


def test_a_very_long_line_is_cut():
    html = dead_letters_list(
        rich_run_of(reasons=[Reason("bad", 1, [Sample("f", "x" * 9000)])])
    ).text
    assert len(html) < 1000


def test_without_dead_letters_there_is_no_list():
    assert dead_letters_list(rich_run_of()) is None
