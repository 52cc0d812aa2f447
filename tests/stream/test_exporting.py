import json
import tracemalloc

import pyarrow.parquet as pq
import pytest

from stream import exporting
from stream.errors import SinkError, UsageError
from stream.exporting import ALERTS_SCHEMA, METRICS_SCHEMA, export_run, rows_of_metrics
from tests.stream.reporting.rich_run import metrics_record, write_lines, write_rich_run


@pytest.fixture
def run(tmp_path):
    return write_rich_run(tmp_path / "run", n_records=24)


def exported(run, name="metrics.parquet"):
    export_run(run, run / "metrics.parquet")
    return pq.read_table(run / name)


def picked(table, **wanted):
    """Rows in which each of these columns has this value."""
    return [
        row
        for row in table.to_pylist()
        if all(row[column] == value for column, value in wanted.items())
    ]


def records_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_every_value_of_the_record_is_a_row_and_every_row_a_value(run):
    table = exported(run)
    assert table.schema.names == METRICS_SCHEMA.names
    for record in records_of(run):
        rows = picked(table, seq=record["seq"], subject="champion", figure="value")
        found = {(row["metric"], row["over"]): row["value"] for row in rows}
        assert found == {
            (metric, over): parts[over]
            for metric, parts in record["metrics"].items()
            for over in ("total", "events", "time", "faded")
            if over in parts
        }


def test_a_row_says_when_whose_and_of_how_many_samples(run):
    record = records_of(run)[7]
    [row] = picked(
        exported(run),
        seq=record["seq"],
        subject="policy",
        name="popular-first",
        metric="ctr",
        over="events",
    )
    parts = record["policies"]["popular-first"]["ctr"]
    assert (row["watermark_ms"], row["events"]) == (record["watermark_ms"], record["events"])
    assert (row["value"], row["samples"]) == (parts["events"], parts["samples"]["events"])
    assert [row["low"], row["high"]] == parts["interval"]["events"]


def test_the_difference_to_a_shadow_has_its_interval(run):
    record = records_of(run)[7]
    rows = picked(exported(run), seq=record["seq"], subject="shadow", figure="difference")
    [row] = [row for row in rows if (row["name"], row["metric"]) == ("item_knn", "recall@20")]
    parts = record["shadows"]["item_knn"]["recall@20"]
    assert (row["over"], row["value"]) == ("total", parts["difference"])
    assert [row["low"], row["high"]] == parts["interval"]


def test_slices_cohorts_counts_and_the_champion_s_name_are_there(run):
    table = exported(run)
    assert {row["name"] for row in picked(table, subject="champion")} == {"transformer"}
    assert "history=5-19" in {row["name"] for row in picked(table, subject="slice")}
    assert {row["name"] for row in picked(table, subject="cohort")} == {"0", "1-4"}
    [count, *_] = picked(table, subject="count", name="clicks")
    assert count["value"] == 1000


def test_bounds_of_an_estimate_are_rows_of_their_own():
    parts = {"total": 0.2, "samples": {"total": 9}, "bounds": {"total": [0.1, 0.4]}}
    record = {"seq": 1, "metrics": {"clipped_ips_ctr": parts}}
    value, bounds = (row[6:] for row in rows_of_metrics(record, "blend"))
    assert value == ("total", "value", 0.2, 9.0, None, None)
    assert bounds == ("total", "bounds", None, 9.0, 0.1, 0.4)


def test_alerts_and_reactions_are_rows_with_all_of_them_as_json(run):
    table = exported(run, "alerts.parquet")
    assert table.schema.names == ALERTS_SCHEMA.names
    rows = table.to_pylist()
    lines = (run / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(row["record"]) for row in rows] == [json.loads(line) for line in lines]
    fired = [row for row in rows if row["state"] == "firing"]
    assert (fired[0]["rule"], fired[0]["value"]) == ("recall_low", 0.24)
    refused = [row for row in rows if row["action"] == "refused"]
    assert [(row["reaction"], row["reason"]) for row in refused] == [
        ("rollback", "no anchor is old enough")
    ]


def test_full_segments_are_read_before_the_open_file(run):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.000000.jsonl").write_text("".join(lines[:10]))
    (run / "metrics.000001.jsonl").write_text("".join(lines[10:20]))
    (run / "metrics.jsonl").write_text("".join(lines[20:]))
    assert exported(run)["seq"].unique().to_pylist() == [
        record["seq"] for record in map(json.loads, lines)
    ]


def test_what_cannot_be_read_is_passed_by_and_counted(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('not JSON\n{"seq": "x", "watermark_ms": 1e999, "metrics": {"ctr": 7}}\n[1]\n')
        file.write('{"seq": 99999999999999999999999, "metrics": {"ctr": {"total": "high"}}}\n{"se')
    metrics, _ = export_run(run, run / "metrics.parquet")
    whole = pq.read_table(metrics.path)
    assert metrics.n_passed_by >= 2
    assert len(whole) == metrics.n_rows
    assert whole["value"].null_count == 0


def test_a_run_without_rules_has_metrics_alone(run):
    (run / "alerts.jsonl").unlink()
    [metrics] = export_run(run, run / "deep" / "m.parquet")
    assert metrics.path == run / "deep" / "m.parquet"
    assert not (run / "deep" / "alerts.parquet").exists()


def test_memory_does_not_grow_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_GROUP_ROWS", 2048)
    peaks = []
    for n_records in (15, 15, 150):  # the first one pays for what is loaded on first use
        run = tmp_path / str(len(peaks))
        run.mkdir()
        record = metrics_record(3, 10, 1.0)
        write_lines(run / "metrics.jsonl", [record | {"seq": n} for n in range(n_records)])
        tracemalloc.start()
        export_run(run, run / "metrics.parquet")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Ten times as many rows; their bytes alone would be twenty times that.
    assert peaks[2] < 2 * peaks[1]


def test_a_folder_without_metrics_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no metrics\.jsonl"):
        export_run(tmp_path, tmp_path / "m.parquet")


def test_one_file_cannot_hold_both(run):
    with pytest.raises(UsageError, match="a file each"):
        export_run(run, run / "m.parquet", run / "m.parquet")


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(run):
    (run / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        export_run(run, run / "file" / "m.parquet")
    (run / "folder").mkdir()
    with pytest.raises(SinkError, match="cannot be written"):
        export_run(run, run / "folder")
    assert not (run / "folder.tmp").exists()
