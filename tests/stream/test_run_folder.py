import pytest
import yaml

from stream.config import FreshrankConfig
from stream.delivery.delivery_queue import DeliveryQueue
from stream.errors import UsageError
from stream.run_folder import (
    differing_keys,
    holds_run,
    refuse_earlier_run,
    require_earlier_run,
    resolved,
    run_id_of,
    settings_of_run,
    write_config,
)
from tests.transitions import transition


def test_settings_written_down_are_those_of_the_run(tmp_path):
    config = FreshrankConfig.model_validate({"threads": 3, "source": {"speed": 60, "limit": 5}})
    write_config(config, tmp_path)
    assert holds_run(tmp_path)
    assert (
        FreshrankConfig.model_validate(yaml.safe_load((tmp_path / "config.yaml").read_text()))
        == config
    )
    again = settings_of_run(tmp_path, ["learner.width=32"])
    assert (again.threads, again.learner.width) == (3, 32)
    # How fast and how far it read is no part of going on.
    assert (again.source.speed, again.source.limit) == (None, None)


def test_threads_are_those_of_the_run_that_is_gone_on_with(tmp_path):
    write_config(FreshrankConfig(threads=7), tmp_path)
    assert resolved(FreshrankConfig(), tmp_path, resume=True).threads == 7
    assert resolved(FreshrankConfig(threads=2), tmp_path, resume=True).threads == 2
    assert resolved(FreshrankConfig(), tmp_path, resume=False).threads is not None


def test_a_folder_without_a_run_is_refused_for_going_on(tmp_path):
    with pytest.raises(UsageError, match="holds no run to resume"):
        require_earlier_run(tmp_path)


def test_a_folder_with_outputs_of_somebody_is_refused_for_a_start(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UsageError, match=r"holds metrics\.jsonl, which this run would write over"):
        refuse_earlier_run(tmp_path, tmp_path / "checkpoints")


def test_settings_differ_by_their_full_keys():
    old = FreshrankConfig().model_dump(mode="json")
    new = FreshrankConfig.model_validate({"learner": {"width": 128}, "log": {"level": "debug"}})
    assert differing_keys(old, new.model_dump(mode="json")) == ["learner.width", "log.level"]


def test_a_folder_with_segments_of_outputs_is_refused_for_a_start(tmp_path):
    (tmp_path / "alerts.000007.jsonl").touch()
    with pytest.raises(UsageError, match=r"holds alerts\.000007\.jsonl, which this run would"):
        refuse_earlier_run(tmp_path, tmp_path / "checkpoints")


def test_the_id_of_a_run_is_made_once(tmp_path):
    made = run_id_of(tmp_path / "one")
    assert made == run_id_of(tmp_path / "one")
    assert made != run_id_of(tmp_path / "two")


def test_a_queue_that_an_earlier_run_told_notices_by_is_not_gone_on_with(tmp_path):
    """Its batches would be taken for ones that were told already."""
    path = tmp_path / "deliveries" / "pager.queue"
    queue = DeliveryQueue(path, "r1", wants=lambda *_: True)
    refuse_earlier_run(tmp_path, tmp_path / "checkpoints")  # a start that failed leaves this much
    queue.put(transition("low", "firing", 3), 3, "alert:low:firing")
    queue.close()
    with pytest.raises(UsageError, match=r"holds pager\.queue, which this run would write over"):
        refuse_earlier_run(tmp_path, tmp_path / "checkpoints")
