import json

import pytest
import yaml

from stream import cli
from tests.stream.test_alert_trial import LOW, START_MS, record_at, write

HIGH = {"name": "high", "kind": "above", "metric": "recall@20", "threshold": 0.9}
MINUTE_MS = 60_000


@pytest.fixture
def call(capsys, tmp_path):
    """Try a rule that fires at minute 2 and resolves at minute 4, and one that never fires."""
    values = [0.6, 0.6, 0.4, 0.3, 0.6, 0.6]
    metrics = write(tmp_path / "m.jsonl", [record_at(n, value) for n, value in enumerate(values)])

    def called(*args, rules=(LOW, HIGH), **alerts):
        config = tmp_path / "freshrank.yaml"
        config.write_text(yaml.safe_dump({"alerts": {"rules": list(rules), **alerts}}))
        status = cli.run(["test-alerts", str(config), str(metrics), *args])
        out, err = capsys.readouterr()
        return status, out, err

    return called


def test_it_says_what_would_have_fired_when_and_for_how_long(call):
    status, out, err = call()
    assert (status, err) == (0, "")
    cells = [line.split() for line in out.splitlines()]
    assert ["low", "2023-03-28", "10:42", "2023-03-28", "10:44", "2m", "0.4", "0.5"] in cells
    assert ["high", "inactive", "0", "-", "-", "-"] in cells
    assert "6 records from 2023-03-28 10:40 to 2023-03-28 10:45, usually 1m apart" in out
    assert "█" not in out


def test_on_a_terminal_there_is_a_timeline(call, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = call()
    assert "█" in out
    assert "firing, muted" in out


def test_what_mutes_an_alert_is_told(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    quiet = {"match": {"alertname": "low"}, "comment": "a deploy"}
    silences = [{**quiet, "from": START_MS, "until": START_MS + 3 * MINUTE_MS}]
    _, out, _ = call(silences=silences)
    assert "silence:a deploy" in out
    shown = json.loads(call("--json", silences=silences)[1])
    [episode] = shown["rules"]["low"]["episodes"]
    assert (episode["firing_ts"], episode["told_ts"]) == (
        START_MS + 2 * MINUTE_MS,
        START_MS + 3 * MINUTE_MS,
    )


def test_json_holds_the_same_for_scripts(call):
    status, out, _ = call("--json")
    shown = json.loads(out)
    assert status == 0
    assert (shown["records"], shown["step_ms"], shown["unmet"]) == (6, MINUTE_MS, [])
    assert shown["rules"]["low"]["firing_ms"] == 2 * MINUTE_MS
    assert shown["rules"]["low"]["episodes"] == [
        {
            "pending_ts": START_MS + 2 * MINUTE_MS,
            "firing_ts": START_MS + 2 * MINUTE_MS,
            "ended_ts": START_MS + 4 * MINUTE_MS,
            "told_ts": START_MS + 2 * MINUTE_MS,
            "muted_by": [],
            "value": 0.4,
            "threshold": 0.5,
        }
    ]
    assert shown["rules"]["high"]["episodes"] == []


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (["--expect", "low", "--expect-not", "high"], 0, ""),
        (["--expect", "high"], 1, "error: high: expected to fire, and did not"),
        (["--expect-not", "low"], 1, "error: low: expected not to fire, and did"),
        (["--expect", "low", "--expect", "high", "--json"], 1, "error: high: expected to fire"),
        (["--expect", "lwo"], 2, "error: --expect lwo: no rule has that name; did you mean 'low'?"),
        (["--expect-not", "zzz"], 2, "no rule has that name; rules: low, high"),
        (["--set", "alerts.rules.0.threshold=0.1", "--expect", "low"], 1, "low: expected to fire"),
    ],
)
def test_the_status_says_whether_rules_did_what_was_expected(call, args, status, told):
    found, _, err = call(*args)
    assert found == status
    assert told in err


def test_a_configuration_without_rules_has_nothing_to_try(call):
    status, _, err = call(rules=())
    assert status == 2
    assert "has no alerts.rules, so there is nothing to try" in err


def test_many_episodes_are_cut_to_a_screen(call, tmp_path):
    values = [0.6, 0.4] * 60
    write(tmp_path / "m.jsonl", [record_at(n, value) for n, value in enumerate(values)])
    _, out, _ = call()
    assert "and 10 more; --json has them all" in out
