import time
from types import SimpleNamespace

import pytest

from stream import open_run
from stream.open_run import OpenRun, Telling

SOURCE = SimpleNamespace(
    is_connected=True,
    problem=None,
    lag_records=1_200,
    last_arrival_s=None,
    newest_ts_ms=None,
    is_repeating=False,
    is_backlog=False,
)


def sink(waited_for=None, n_pending=0):
    return SimpleNamespace(waited_for=waited_for, n_pending=n_pending)


def run_of(tmp_path, source=SOURCE, newest=None, sinks=None, **pipeline):
    panel = SimpleNamespace(serving="item_knn")
    parts = SimpleNamespace(alerts=SimpleNamespace(firing=["low"]), panel=panel)
    loop = {
        "next_seq": 7,
        "n_records": 50,
        "n_events": 48,
        "watermark_ms": 0,
        "dead_letter_counts": {"no JSON": 2},
        "parts": parts,
    }
    return OpenRun(
        out=tmp_path,
        checkpoints=SimpleNamespace(newest=newest),
        journal=SimpleNamespace(),
        incidents=SimpleNamespace(n_reported=3, n_failed=1),
        source=SimpleNamespace(status=lambda: source),
        sinks=sinks or {},
        deliveries=SimpleNamespace(status=lambda: {"pager": {"waiting": 2}}),
        pipeline=SimpleNamespace(**(loop | pipeline)),
        heart=SimpleNamespace(silent_s=0.04),
        watch=SimpleNamespace(firing=["no_events"]),
        is_resumed=False,
    )


def test_the_status_tells_what_fires_and_what_was_not_written(tmp_path):
    status = run_of(tmp_path).status()
    assert (status["alerts_firing"], status["watch_firing"]) == (["low"], ["no_events"])
    assert status["serving"] == "item_knn"
    assert (status["incidents"], status["incidents_failed"]) == (3, 1)
    assert (status["records"], status["events"], status["dead_letters"]) == (50, 48, 2)


def test_the_status_tells_what_waits_for_whom(tmp_path):
    assert run_of(tmp_path).status()["deliveries"] == {"pager": {"waiting": 2}}


def test_the_status_names_who_runs(tmp_path):
    status = run_of(tmp_path).status()
    assert all(status[name] for name in ("version", "python", "torch", "kafka_python", "pid"))
    assert 0 <= status["uptime_s"] < 60


def test_ages_are_unknown_before_there_is_anything(tmp_path):
    status = run_of(tmp_path).status()
    ages = ("watermark", "newest_record", "last_arrival", "checkpoint")
    assert [status[f"{name}_age_s"] for name in ages] == [None] * 4
    assert status["checkpoint_seq"] is None


def test_ages_count_from_when_it_was(tmp_path):
    now_s = time.time()
    source = SimpleNamespace(
        **{
            **vars(SOURCE),
            "newest_ts_ms": round((now_s - 40) * 1000),
            "last_arrival_s": time.monotonic() - 30,
        }
    )
    watermark_ms = round((now_s - 50) * 1000)
    run = run_of(tmp_path, source, newest=(6, now_s - 20), watermark_ms=watermark_ms)
    status = run.status()
    expected = {"watermark": 50, "newest_record": 40, "last_arrival": 30, "checkpoint": 20}
    for name, age_s in expected.items():
        assert status[f"{name}_age_s"] == pytest.approx(age_s, abs=5)
    assert status["checkpoint_seq"] == 6


def test_an_output_that_is_waited_for_is_a_reason_to_wait(tmp_path):
    text = "10,000 records wait for topic t: no answer"
    run = run_of(tmp_path, sinks={"alerts": sink(text, 10_000), "metrics": sink()})
    assert run.reasons_to_wait() == [f"output alerts: {text}"]
    status = run.status()
    assert status["reasons_to_wait"] == run.reasons_to_wait()
    assert status["sinks_pending"] == {"alerts": 10_000, "metrics": 0}


def test_how_it_goes_is_told_once_a_minute(tmp_path, monkeypatch):
    now_s = [1_000.0]
    monkeypatch.setattr(open_run.time, "monotonic", lambda: now_s[0])
    telling, told = Telling(), []
    for n_events in (100, 200, 700):
        told.append(telling.due(run_of(tmp_path, n_events=n_events, watermark_ms=5_000)))
        now_s[0] += 30.0
    assert told == [
        None,
        None,
        "700 events, 10 a second; lag 1,200 records; event time 1970-01-01 00:00:05",
    ]
