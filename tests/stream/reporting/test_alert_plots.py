from stream.reporting.alert_episodes import read_alerts
from stream.reporting.alert_plots import MAX_PLOTS, alert_plots
from stream.reporting.sections import time_axis
from tests.stream.reporting.rich_run import HOUR_MS, START_MS, alert_records, transition
from tests.stream.reporting.runs_in_memory import rich_run_of


def plots_of(records):
    run = rich_run_of(144, alerts=read_alerts(records))
    return alert_plots(run, time_axis(run))


def test_each_rule_that_fired_has_its_figure_over_its_own_window():
    recall, ctr = plots_of(alert_records())
    assert (recall.name, recall.title) == ("plot-alert-recall_low", "recall_low")
    assert len(recall.traces[1]["x"]) == 144
    assert len([y for y in ctr.traces[1]["y"] if y is None]) > 0  # no window of time at first
    assert recall.traces[1]["meta"]["window"] is None
    assert "last 500 samples" in recall.caption


def test_the_threshold_is_drawn_from_pending_to_resolved_for_each_episode():
    _, ctr = plots_of(alert_records())
    first, last = START_MS + 51 * HOUR_MS, START_MS + 144 * HOUR_MS
    assert ctr.traces[0]["y"] == [0.05, 0.05, None, 0.05, 0.05, None]
    assert ctr.traces[0]["x"][0] == first
    assert ctr.traces[0]["x"][-2] == last  # it still fires where the run ends


def test_a_rule_that_never_fired_or_whose_figure_was_not_written_has_none():
    rule = {"rule": "odd", "metric": "no_such", "over": "time", "threshold": 1.0}
    fired = [transition(rule, "firing", START_MS + HOUR_MS, START_MS, 2.0)]
    assert plots_of(fired) == []
    assert plots_of(alert_records()[:1]) == []


def test_a_rule_about_a_shadow_has_its_plot_among_the_differences():
    rule = {"rule": "worse", "metric": "recall@20", "over": "events", "shadow": "popularity"}
    fired = [transition(rule, "firing", START_MS + HOUR_MS, START_MS, 2.0)]
    assert plots_of(fired) == []


def test_there_are_no_more_than_eight():
    rule = {"metric": "recall@20", "over": "events", "threshold": 0.3}
    fired = [
        transition(rule | {"rule": f"r{n}"}, "firing", START_MS + n, START_MS, 0.2)
        for n in range(20)
    ]
    assert len(plots_of(fired)) == MAX_PLOTS
