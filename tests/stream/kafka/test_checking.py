import os
import time

from deploy.kafka.local_kafka import free_ports
from stream.kafka.checking import check_connection, check_folder
from stream.kafka.cluster.connection import ConnectionConfig
from tests.brokers import delete_records, offsets, produce, unique_name


def outcomes(checks):
    return [one.outcome for one in checks]


def test_everything_that_is_there_is_fine(kafka, topic):
    clicks, metrics = topic(2), topic()
    produce(kafka.bootstrap, clicks, [b"{}"] * 5)
    delete_records(kafka.bootstrap, clicks, {0: 1})
    connection = ConnectionConfig(bootstrap=kafka.bootstrap)
    checks = check_connection(connection, [clicks], {"metrics": metrics})
    assert outcomes(checks) == ["ok"] * 3
    brokers, to_read, to_write = checks
    assert brokers.text.startswith("1 broker, cluster ")
    assert to_read.subject == f"topic {clicks}, to read"
    assert to_read.text == "2 partitions, about 4 records"
    assert to_write.subject == f"topic {metrics}, to write"


def test_checking_writes_nothing_to_a_topic(kafka, topic):
    clicks, metrics = topic(), topic()
    check_connection(ConnectionConfig(bootstrap=kafka.bootstrap), [clicks], {"metrics": metrics})
    assert offsets(kafka.bootstrap, metrics) == {0: (0, 0)}


def test_a_topic_that_is_missing_fails_by_the_setting_that_names_it(kafka, topic):
    clicks, missing = topic(), unique_name("missing")
    connection = ConnectionConfig(bootstrap=kafka.bootstrap)
    checks = check_connection(connection, [clicks, missing], {"alerts": f"{missing}-too"})
    assert outcomes(checks) == ["ok", "ok", "failed", "failed"]
    assert checks[2].text.startswith(
        f"source.kafka.topics: no such topic or partition at {kafka.bootstrap}"
    )
    assert checks[3].text.startswith("outputs.kafka.alerts: ")
    assert f"topic {missing}-too" in checks[3].text


def test_the_offsets_of_a_single_partition_are_told(kafka, topic):
    clicks = topic()
    produce(kafka.bootstrap, clicks, [b"{}"] * 3)
    delete_records(kafka.bootstrap, clicks, {0: 2})
    checks = check_connection(ConnectionConfig(bootstrap=kafka.bootstrap), [clicks])
    assert checks[1].text == "1 partition, offsets 2 to 3"


def test_a_compacted_topic_is_warned_of(kafka, topic):
    compacted = topic(1, {"cleanup.policy": "compact"})
    connection = ConnectionConfig(bootstrap=kafka.bootstrap)
    for checks in (
        check_connection(connection, [compacted]),
        check_connection(connection, [], {"metrics": compacted}),
    ):
        assert outcomes(checks) == ["ok", "warning"]
        assert "cleanup.policy is compact" in checks[1].text


def test_an_output_that_is_read_fails(kafka, topic):
    clicks = topic()
    connection = ConnectionConfig(bootstrap=kafka.bootstrap)
    checks = check_connection(connection, [clicks], {"dead_letters": clicks})
    assert outcomes(checks) == ["ok", "ok", "failed"]
    assert checks[2].text.startswith(f"outputs.kafka.dead_letters: {clicks} is read too")


def test_what_cannot_be_tried_is_said(kafka, topic):
    absent = f"127.0.0.1:{next(free_ports())}"
    clicks, metrics = topic(), topic()
    began_s = time.monotonic()
    checks = check_connection(
        ConnectionConfig(bootstrap=kafka.bootstrap),
        [clicks],
        {"metrics": metrics},
        ConnectionConfig(bootstrap=absent),
        group="freshrank",
    )
    assert time.monotonic() - began_s < 15
    assert [(one.subject, one.outcome) for one in checks] == [
        (f"brokers at {kafka.bootstrap}", "ok"),
        (f"topic {clicks}, to read", "ok"),
        ("group freshrank", "ok"),
        (f"brokers at {absent}", "failed"),
        (f"topic {metrics}, to write", "not tried"),
    ]
    assert checks[3].text.startswith("outputs.kafka.connection.bootstrap: no broker answers at")


def test_a_folder_is_tried_by_writing_and_left_as_it_was(tmp_path):
    assert check_folder(tmp_path, "--out").outcome == "ok"
    assert check_folder(tmp_path / "runs" / "live", "--out").text == "will be made"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "runs").write_text("")
    found = check_folder(tmp_path / "runs" / "live", "--out")
    assert found.outcome == "failed"
    assert found.text == f"--out: {tmp_path / 'runs'} is no folder; name another"


def test_a_folder_that_refuses_files_fails(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:
        # Nothing is locked to root but what is no disk at all.
        found = check_folder(type(tmp_path)("/proc/freshrank"), "checkpoint.dir")
    else:
        found = check_folder(locked / "run", "checkpoint.dir")
    assert found.outcome == "failed"
    assert found.text.startswith("checkpoint.dir: nothing can be written into ")
