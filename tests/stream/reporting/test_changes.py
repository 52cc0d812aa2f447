import pytest

from stream.reporting.alert_episodes import read_alerts
from stream.reporting.changes import changes_of
from tests.stream.reporting.rich_run import START_MS, alert_records
from tests.stream.reporting.runs_in_memory import clicks_only, rich_run_of, run_of


def recalls(*values, n_samples=1000):
    """Records a minute apart with this recall."""
    records = []
    for n, value in enumerate(values):
        record = clicks_only(START_MS + n * 60_000)
        if value is not None:
            samples = {"total": n_samples}
            record["metrics"]["recall@20"] = {"total": value, "samples": samples}
        else:
            record["metrics"] = {}
        records.append(record)
    return run_of(records)


def test_the_largest_fall_goes_from_the_best_level_before_it_to_the_worst_after():
    [change] = changes_of(recalls(0.1, 0.4, 0.35, 0.38, 0.2, 0.5, 0.45))
    assert (change.metric, change.window) == ("recall@20", "total")
    assert (change.before.value, change.after.value, change.now) == (0.4, 0.2, 0.45)
    assert change.before.ts_ms == START_MS + 60_000
    assert change.after.ts_ms == START_MS + 4 * 60_000
    assert change.regained == pytest.approx(1.25)


def test_what_only_grows_has_not_changed_for_the_worse():
    assert changes_of(recalls(0.1, 0.2, 0.2, 0.3)) == []
    assert changes_of(recalls(0.1)) == []
    assert changes_of(run_of([])) == []


def test_records_without_the_figure_are_passed_by():
    [change] = changes_of(recalls(None, 0.4, None, 0.3, None))
    assert (change.before.value, change.after.value, change.now) == (0.4, 0.3, 0.3)


@pytest.mark.parametrize(("n_samples", "is_sure"), [(30, False), (3000, True)])
def test_a_fall_of_few_samples_may_be_chance(n_samples, is_sure):
    [change] = changes_of(recalls(0.4, 0.3, n_samples=n_samples))
    assert change.is_sure is is_sure
    low, high = change.before.ends
    assert low < 0.4 < high


def test_the_intervals_widen_with_the_number_of_records_looked_at():
    def width(n_records):
        [change] = changes_of(recalls(*[0.4] * n_records, 0.3))
        return change.before.ends[1] - change.before.ends[0]

    assert width(2) < width(50)


def test_of_a_loss_a_rise_is_the_worse_and_nobody_says_how_sure():
    changes = {change.metric: change for change in changes_of(rich_run_of(144))}
    loss = changes["log_loss"]
    assert loss.after.value > loss.before.value
    assert loss.is_sure is None
    assert changes["recall@20"].is_sure
    assert changes["ctr"].is_sure


def test_what_an_alert_watched_is_looked_at_too():
    records = [
        clicks_only(START_MS + n * 60_000)
        | {"metrics": {"auc": {"events": value, "samples": {"events": 9}}}}
        for n, value in enumerate((0.8, 0.6))
    ]
    fired = [one | {"metric": "auc"} for one in alert_records()]
    [change] = changes_of(run_of(records, alerts=read_alerts(fired)))
    assert (change.metric, change.window) == ("auc", "events")
