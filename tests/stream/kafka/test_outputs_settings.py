import subprocess
import sys

import pytest
from pydantic import ValidationError

from stream.kafka.outputs_settings import OutputsConfig


def test_without_settings_nothing_goes_to_kafka():
    assert OutputsConfig().kafka is None


def test_topics_are_told_by_the_name_of_the_output():
    config = OutputsConfig.model_validate(
        {"kafka": {"alerts": "shop.alerts", "dead_letters": "shop.bad"}}
    )
    assert config.kafka.topics() == {"alerts": "shop.alerts", "dead_letters": "shop.bad"}
    assert config.kafka.connection is None


def test_outputs_may_have_a_cluster_of_their_own():
    config = OutputsConfig.model_validate(
        {"kafka": {"metrics": "m", "connection": {"bootstrap": "there:9092"}}}
    )
    assert list(config.kafka.connection.bootstrap) == ["there:9092"]


@pytest.mark.parametrize("topic", ["", "a/b", "a b", "x" * 250, "ü"])
def test_a_name_that_no_topic_can_have_is_refused(topic):
    with pytest.raises(ValidationError, match=r"kafka\.metrics"):
        OutputsConfig.model_validate({"kafka": {"metrics": topic}})


def test_an_output_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        OutputsConfig.model_validate({"kafka": {"metric": "m"}})


def test_settings_can_be_read_without_kafka():
    code = "import stream.kafka.outputs_settings, sys; sys.exit('kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
