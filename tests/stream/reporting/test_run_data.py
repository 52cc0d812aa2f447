import json

import pytest

from stream.errors import UsageError
from stream.reporting.metrics_table import CHAMPION
from stream.reporting.run_data import read_run
from tests.stream.reporting.rich_run import write_rich_run


@pytest.fixture
def run(tmp_path):
    return write_rich_run(tmp_path / "run", n_records=24)


def test_a_whole_run_is_read_without_a_note(run):
    data = read_run(run, run / "truth.jsonl")
    assert data.notes == ()
    assert (data.name, data.champion, data.setting("batch", "events")) == ("run", "transformer", 64)
    assert (len(data.metrics), len(data.alerts.episodes), len(data.truth.drifts)) == (24, 4, 2)
    assert [reason.count for reason in data.reasons] == [50, 7]


def test_what_an_alert_watched_is_kept_even_if_no_plot_shows_it(run):
    line = {"rule": "r", "state": "firing", "metric": "mrr@20", "over": "faded", "ts": 5}
    (run / "alerts.jsonl").write_text(json.dumps(line) + "\n")
    metrics = read_run(run).metrics
    assert metrics.column(CHAMPION, "mrr@20", "faded") is not None
    assert metrics.column(CHAMPION, "mrr@20", "total") is None


@pytest.mark.parametrize("name", ["alerts.jsonl", "dead_letters.jsonl", "metrics.jsonl"])
def test_a_file_that_is_missing_is_no_problem(run, name):
    (run / name).unlink()
    assert read_run(run).notes == ()


def test_a_run_without_a_summary_is_told_by_its_last_record(run):
    (run / "summary.json").unlink()
    data = read_run(run)
    assert "summary.json is missing: the run has not finished" in data.notes[0]
    assert data.summary["metrics"]["recall@20"] == data.metrics.last["metrics"]["recall@20"]
    assert [reason.count for reason in data.reasons] == [1, 1, 1]


@pytest.mark.parametrize("text", ["{broken", "[1]", "", "\x00"])
def test_a_summary_that_cannot_be_read_is_told_and_passed_by(run, text):
    (run / "summary.json").write_text(text)
    [note] = read_run(run).notes
    assert note.startswith("summary.json ")
    assert note.endswith("Figures are those of the last record of metrics.jsonl.")


def test_without_summary_and_records_there_is_nothing_to_report(run):
    (run / "summary.json").write_text("{broken")
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"run: summary.json cannot be read .*holds no record"):
        read_run(run)


def test_a_line_cut_in_the_middle_is_told(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"seq":9,"na')
    data = read_run(run)
    assert data.notes == (
        "metrics.jsonl: the last line is unfinished; the run was writing, or was killed.",
    )
    assert len(data.metrics) == 24


def test_lines_that_are_no_records_are_counted(run):
    with (run / "alerts.jsonl").open("a") as file:
        file.write("broken\n[]\n")
    assert read_run(run).notes == ("alerts.jsonl: 2 lines are no JSON objects and were passed by.",)


@pytest.mark.parametrize("data", [b"a: [", b"- 1\n", b"\xff\xfe"])
def test_settings_that_cannot_be_read_are_told(run, data):
    (run / "config.yaml").write_bytes(data)
    found = read_run(run)
    assert found.notes[0].startswith("config.yaml ")
    assert found.champion == "champion"


def test_a_folder_that_does_not_exist_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no such folder; name the folder of a run"):
        read_run(tmp_path / "nothing")


def test_a_folder_without_a_run_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"holds no run: neither summary.json nor metrics.jsonl"):
        read_run(tmp_path)


def test_a_truth_that_does_not_exist_is_wrong_use(run):
    with pytest.raises(UsageError, match=r"no such file; --truth takes a simulation's truth.jsonl"):
        read_run(run, run / "nothing.jsonl")


def test_a_truth_that_tells_nothing_is_told(run):
    assert read_run(run, run / "metrics.jsonl").notes == (
        "metrics.jsonl tells of no drift and no CTR.",
    )


def test_the_end_of_a_run_is_its_last_point_even_if_no_record_was_due(run):
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    counts = {"clicks": record["events"] + 7}
    summary = {"counts": counts, "watermark_ms": record["watermark_ms"] + 60_000}
    summary["metrics"] = {"recall@20": {"total": 0.125}}
    (run / "summary.json").write_text(json.dumps(summary))
    metrics = read_run(run).metrics
    assert len(metrics) == 25
    assert metrics.column(CHAMPION, "recall@20", "total")[-1] == 0.125
    assert metrics.events_R[-1] == record["events"] + 7
    (run / "metrics.jsonl").write_text("")
    assert len(read_run(run).metrics) == 1


def test_a_last_record_that_says_the_same_is_not_told_twice(run):
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    record["counts"] = {"clicks": record["events"]}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    (run / "summary.json").write_text(json.dumps(record))
    assert len(read_run(run).metrics) == 25


def test_alerts_that_are_gone_are_missed(run):
    (run / "alerts.jsonl").unlink()
    summary = json.loads((run / "summary.json").read_text())
    summary["alerts"] = {"ctr_drop": {"state": "inactive", "times_fired": 2}}
    (run / "summary.json").write_text(json.dumps(summary))
    assert "alerts.jsonl is missing or empty" in read_run(run).notes[0]


def cut(run, name, first_number):
    """Put the first lines of a file away as two segments, the first of them with this number."""
    lines = (run / name).read_text().splitlines(keepends=True)
    stem = name.removesuffix(".jsonl")
    (run / f"{stem}.{first_number:06d}.jsonl").write_text("".join(lines[:1]))
    (run / f"{stem}.{first_number + 1:06d}.jsonl").write_text("".join(lines[1:2]))
    (run / name).write_text("".join(lines[2:]))


def test_a_run_in_segments_reads_like_a_run_in_whole_files(run):
    whole = read_run(run)
    for name in ("metrics.jsonl", "alerts.jsonl", "dead_letters.jsonl"):
        cut(run, name, 0)
    parted = read_run(run)
    assert parted.notes == ()
    assert parted.metrics.ts_ms_R.tolist() == whole.metrics.ts_ms_R.tolist()
    assert (parted.alerts, parted.reasons) == (whole.alerts, whole.reasons)


def test_records_that_were_dropped_are_told(run):
    cut(run, "metrics.jsonl", 12)
    (run / "alerts.jsonl").write_text("")
    (run / "alerts.000000.jsonl").touch()
    first_seq = json.loads((run / "metrics.000012.jsonl").read_text().splitlines()[0])["seq"]
    gone, by = "its oldest records are gone", "(outputs.files.max_bytes)"
    assert read_run(run).notes[-2:] == (
        f"metrics.jsonl: {gone}, 12 full files {by}; it begins with batch {first_seq:,}.",
        f"alerts.jsonl: {gone}, 1 full file {by}; nothing is left.",
    )


def test_a_run_that_was_killed_between_two_segments_is_a_run(run):
    (run / "summary.json").unlink()
    (run / "metrics.jsonl").rename(run / "metrics.000000.jsonl")
    assert len(read_run(run).metrics) == 24
