import pytest

from stream import cli
from stream.config import FreshrankConfig
from stream.settings import read_settings
from tests.receivers import Receiver


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


def reading(bootstrap, topic):
    connection = f"{{bootstrap: '{bootstrap}'}}"
    return f"source: {{kafka: {{connection: {connection}, topics: [{topic}]}}}}\n"


@pytest.fixture
def config(tmp_path):
    return tmp_path / "freshrank.yaml"


def test_a_valid_configuration_is_said_to_be(config, capsys):
    config.write_text("batch: {events: 512}\n")
    assert call(capsys, "check", str(config)) == (0, f"{config}: valid\n", "")


def test_what_is_shown_is_complete_and_reads_back_as_the_same(config, capsys):
    config.write_text("batch: {events: 512}\nsource: {map: {user: 'visitor: [id]'}}\n")
    _, shown, err = call(capsys, "check", str(config), "--show")
    assert err == ""
    settings = read_settings(FreshrankConfig, config)
    config.write_text(shown)
    assert read_settings(FreshrankConfig, config) == settings
    assert [key for key in FreshrankConfig.model_fields if f"\n{key}:" not in f"\n{shown}"] == []


def test_every_problem_is_an_error_of_its_own(config, capsys):
    config.write_text("batch: {evnets: 512}\nlearner: {width: 0}\n")
    status, out, err = call(capsys, "check", str(config))
    assert (status, out) == (2, "")
    first, second = sorted(err.splitlines())
    assert first == f"error: {config}: batch.evnets: unknown key; did you mean 'events'?"
    assert second.startswith(f"error: {config}: learner.width: ")


def test_trying_needs_something_to_try(config, capsys):
    config.write_text("batch: {events: 512}\n")
    status, _, err = call(capsys, "check", str(config), "--connect")
    assert status == 2
    assert err.startswith(
        f"error: {config}: has no source.kafka and no alerts.deliver, so --connect has nothing"
    )


def test_destinations_of_alerts_are_tried_without_an_alert(config, capsys, tmp_path):
    with Receiver() as receiver:
        config.write_text(
            f"alerts: {{deliver: [{{kind: webhook, url: '{receiver.url}'}}, "
            "{kind: webhook, name: gone, url: 'http://127.0.0.1:1'}]}\n"
        )
        out = str(tmp_path / "run")
        status, told, _ = call(capsys, "check", str(config), "--connect", "--out", out)
    assert status == 1
    assert receiver.came == []
    lines = [line.split()[:3] for line in told.splitlines()]
    assert lines[1:3] == [["ok", "destination", "webhook"], ["failed", "destination", "gone"]]


def test_what_was_tried_is_a_line_each_and_nothing_is_left_behind(
    config, capsys, kafka, topic, tmp_path
):
    clicks, alerts = topic(), topic()
    config.write_text(
        reading(kafka.bootstrap, clicks) + f"outputs: {{kafka: {{alerts: {alerts}}}}}\n"
    )
    run = tmp_path / "run"
    status, out, err = call(capsys, "check", str(config), "--connect", "-o", str(run))
    assert (status, err) == (0, "")
    valid, *lines = out.splitlines()
    assert valid == f"{config}: valid"
    assert [line.split("  ")[0] for line in lines] == ["ok"] * 5
    subjects = [f"brokers at {kafka.bootstrap}", f"topic {clicks}, to read"]
    subjects += [f"topic {alerts}, to write", "group freshrank", f"folder {run}"]
    assert [
        subject for subject, line in zip(subjects, lines, strict=True) if subject not in line
    ] == []
    assert not run.exists()


def test_a_failure_is_an_exit_status_and_says_what_to_do(config, capsys, kafka):
    config.write_text(reading(kafka.bootstrap, "none-such") + "checkpoint: {dir: /proc/none}\n")
    status, out, _ = call(capsys, "check", str(config), "--connect")
    assert status == 1
    failed = [line for line in out.splitlines() if line.startswith("failed")]
    assert "source.kafka.topics: no such topic or partition" in failed[0]
    assert "checkpoint.dir: nothing can be written into /proc" in failed[1]
    assert len(failed) == 2
