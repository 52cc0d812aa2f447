"""Rules tried on recorded figures do what they did, or would have done, in the run."""

import json

import pytest

from evaluators.alert_rules import AlertsConfig
from evaluators.vocabulary import METRICS_BY_POLICY, WINDOWS, metric_ranges
from stream.alert_trial import RecordedFigures, try_rules
from stream.errors import UsageError
from stream.sources.file import FileSource
from tests.runs import RESTLESS, run_in, small_config, write_shop

MINUTE_MS = 60_000
START_MS = 28_000_000 * MINUTE_MS
LOW = {"name": "low", "kind": "below", "metric": "recall@20", "threshold": 0.5}


def config_of(*rules, **keys) -> AlertsConfig:
    return AlertsConfig.model_validate({"rules": list(rules), **keys})


def record_at(minute: float, value: float | None, **keys) -> dict:
    parts = {} if value is None else {"time": value, "samples": {"time": 1000}}
    return {
        "seq": round(minute),
        "name": "metrics",
        "events": round(minute * 10),
        "events_taken_in": round(minute * 20),
        "watermark_ms": START_MS + round(minute * MINUTE_MS),
        "metrics": {"recall@20": parts} if parts else {},
        "policies": {},
        **keys,
    }


def write(path, records, last: str = ""):
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records) + last)
    return path


def minutes(trial) -> list[tuple[float | None, ...]]:
    """When each episode was pending, fired and ended, in minutes from the start."""
    return [
        tuple(
            None if at_ms is None else (at_ms - START_MS) / MINUTE_MS
            for at_ms in (one.pending_ms, one.fired_ms, one.ended_ms)
        )
        for one in trial.log.episodes
    ]


# Against a run


RULES = [*RESTLESS["rules"], {**LOW, "over": "events", "threshold": 0.4, "for": "50 events"}]
MUTED = {"inhibit": [{"source": {"kind": "drop"}, "target": {"kind": "!=drop"}}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a record for every batch, and what rules could read after each."""
    folder = tmp_path_factory.mktemp("trial")
    alerts = {**RESTLESS, **MUTED, "rules": RULES}
    evaluator = {"emit_events": 1, "window_events": 100, "off_policy": {"temperature": 1.0}}
    config = small_config(alerts=alerts, evaluator=evaluator)
    events = write_shop(folder / "events.jsonl", 1500)
    source = FileSource(config.source, [str(events)], config.batch)
    differing = []

    def compare(batch, pipeline):
        if batch is None or batch.seq % 7:
            return
        evaluator = pipeline.parts.evaluator
        record = json.loads(json.dumps(evaluator.metrics()))
        figures = RecordedFigures(record)
        for metric in metric_ranges(config.ranking.ks):
            of = [None, *(record["policies"] if metric in METRICS_BY_POLICY else ())]
            differing.extend(
                (batch.seq, metric, over, policy)
                for over in WINDOWS
                for policy in of
                if figures.reading(metric, over, policy) != evaluator.reading(metric, over, policy)
            )

    run_in(folder / "run", config, source, on_batch=compare)
    return config, folder / "run", differing


def test_a_record_reads_as_the_evaluator_does(run):
    assert run[2] == []


def test_with_a_record_a_batch_rules_do_what_they_did_in_the_run(run):
    config, out, _ = run
    keys = ("rule", "state", "ts", "since", "value", "threshold", "samples", "muted_by", "events")
    told = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    in_run = [{key: record[key] for key in keys} for record in told if "reaction" not in record]
    tried = [{key: one[key] for key in keys} for one in try_rules(config.alerts, out).notices]
    assert tried == in_run
    assert {one["state"] for one in tried} == {"pending", "firing", "resolved", "inactive"}
    assert any(one["muted_by"] for one in tried)


# On a coarser grid


def test_an_alert_begins_and_ends_at_the_records_that_show_it(tmp_path):
    values = [0.6, 0.4, 0.4, 0.4, 0.6, 0.6]
    path = write(tmp_path / "m.jsonl", [record_at(10 * n, value) for n, value in enumerate(values)])
    trial = try_rules(config_of({**LOW, "for": "15m"}), path)
    assert minutes(trial) == [(10, 30, 40)]
    assert (trial.n_records, trial.step_ms) == (6, 10 * MINUTE_MS)
    assert "Records are 10m apart, rules look every 1m" in trial.notes[0]


def test_the_first_record_is_judged(tmp_path):
    path = write(tmp_path / "m.jsonl", [record_at(0, 0.4)])
    assert minutes(try_rules(config_of(LOW), path)) == [(0, 0, None)]


def test_records_that_are_as_close_as_the_grid_need_no_note(tmp_path):
    path = write(tmp_path / "m.jsonl", [record_at(n, 0.4) for n in range(5)])
    assert try_rules(config_of(LOW), path).notes == ()


@pytest.mark.parametrize(
    ("keys", "fired_at"),
    [({}, 5), ({"events_taken_in": None}, 10)],
    ids=["taken in", "judged, in an older file"],
)
def test_durations_in_events_are_counted_in(tmp_path, keys, fired_at):
    path = write(tmp_path / "m.jsonl", [record_at(n, 0.4, **keys) for n in range(12)])
    trial = try_rules(config_of({**LOW, "for": "100 events"}), path)
    assert minutes(trial) == [(0, fired_at, None)]
    assert any("counted in judged clicks (low)" in note for note in trial.notes) == bool(keys)


def test_reactions_are_not_tried_and_the_notes_say_so(tmp_path):
    path = write(tmp_path / "m.jsonl", [record_at(0, 0.4)])
    notes = try_rules(config_of({**LOW, "react": "boost"}), path).notes
    assert notes == ("Reactions are not tried (low): the figures are as they were.",)


# Files


def test_what_cannot_be_read_is_passed_by_and_told(tmp_path):
    path = write(tmp_path / "m.jsonl", [record_at(n, 0.4) for n in range(3)], last='{"seq": 4, "na')
    path.write_text("no json\n" + json.dumps({"name": "alert:x:firing"}) + "\n" + path.read_text())
    trial = try_rules(config_of(LOW), path)
    assert trial.n_records == 3
    assert trial.notes == (
        "1 lines are no JSON objects and were passed by.",
        "The last line is unfinished and was passed by: the run was writing, or was killed.",
        "Records that are not of metrics were passed by: alert:x:firing.",
    )


def test_a_folder_stands_for_its_metrics(tmp_path):
    path = write(tmp_path / "metrics.jsonl", [record_at(0, 0.4)])
    assert try_rules(config_of(LOW), tmp_path).path == path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("recall: 1\nctr: 2\n", "its lines are no JSON objects"),
        ('{"name": "alert:low:firing", "ts": 5}\n', "its records are others (alert:low:firing)"),
        ('{"watermark_ms": 5}\n', "its records are others (without a name)"),
    ],
)
def test_a_file_that_is_no_record_of_metrics_is_refused(tmp_path, text, told):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(UsageError) as caught:
        try_rules(config_of(LOW), tmp_path / "m.jsonl")
    assert str(caught.value).endswith(f"{told}; name the metrics.jsonl of a run")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file; name the metrics"):
        try_rules(config_of(LOW), tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            {"metric": "recall@10"},
            "low watches recall@10, which no record holds; did you mean 'recall@20'?",
        ),
        ({"over": "total"}, "recall@20 over total, which no record holds; windows there: time"),
        (
            {"metric": "ctr", "policy": "mian"},
            "policy mian, which no record holds; did you mean 'main'? policies there: main",
        ),
        (
            {"metric": "ctr", "policy": "main"},
            "ctr of policy main, which no record holds; metrics there: auc",
        ),
    ],
)
def test_a_figure_that_no_record_holds_is_refused_with_the_nearest(tmp_path, rule, told):
    policies = {"main": {"auc": {"time": 0.5, "samples": {"time": 9}}}}
    path = write(tmp_path / "m.jsonl", [record_at(0, 0.4, policies=policies)])
    with pytest.raises(UsageError) as caught:
        try_rules(config_of({**LOW, **rule}, {**LOW, "name": "other"}), path)
    assert told in str(caught.value)
    assert "rule other" not in str(caught.value)
