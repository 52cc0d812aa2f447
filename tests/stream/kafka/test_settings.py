import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from stream.kafka.settings import KafkaOutputsConfig, KafkaSourceConfig, TopicConfig
from tests.stream.kafka.fakes_kafka import config_of


def test_the_name_of_a_topic_is_enough():
    assert config_of("clicks", {"name": "views", "type": "impression"}).topics == (
        TopicConfig(name="clicks"),
        TopicConfig(name="views", type="impression"),
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("latest", "latest"),
        (1_704_067_200_000, 1_704_067_200_000),
        ("2024-01-01", 1_704_067_200_000),
        (datetime(2024, 1, 1, tzinfo=UTC), 1_704_067_200_000),
        (datetime(2024, 1, 1, tzinfo=UTC).date(), 1_704_067_200_000),
        ({"clicks/3": 17}, {"clicks/3": 17}),
    ],
)
def test_a_start_is_a_word_a_time_or_offsets(start, expected):
    assert config_of(start=start).start == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "yesterday"}, "expected earliest, latest, a time such as"),
        ({"start": {"views/0": 1}}, "such as clicks/0, got 'views/0'"),
        ({"start": {"clicks": 1}}, "such as clicks/0, got 'clicks'"),
        ({"topics": ("clicks", "clicks")}, "clicks is named more than once"),
        ({"topics": ()}, "at least 1 item"),
        ({"topics": ("a b",)}, "should match pattern"),
        ({"topics": ({"name": "clicks", "map": {"who": "x"}},)}, "'who' is no event field"),
        ({"idle": "3s"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        KafkaSourceConfig.model_validate(
            {"connection": {"bootstrap": "k:9092"}, "topics": ("clicks",), **settings}
        )


def test_without_settings_nothing_goes_to_kafka():
    assert KafkaOutputsConfig().topics() == {}


def test_topics_are_told_by_the_name_of_the_output():
    config = KafkaOutputsConfig.model_validate(
        {"alerts": "shop.alerts", "dead_letters": "shop.bad"}
    )
    assert config.topics() == {"alerts": "shop.alerts", "dead_letters": "shop.bad"}
    assert config.connection is None


def test_outputs_may_have_a_cluster_of_their_own():
    config = KafkaOutputsConfig.model_validate(
        {"metrics": "m", "connection": {"bootstrap": "there:9092"}}
    )
    assert list(config.connection.bootstrap) == ["there:9092"]


@pytest.mark.parametrize("topic", ["", "a/b", "a b", "x" * 250, "ü"])
def test_a_name_that_no_topic_can_have_is_refused(topic):
    with pytest.raises(ValidationError, match="metrics"):
        KafkaOutputsConfig.model_validate({"metrics": topic})


def test_an_output_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        KafkaOutputsConfig.model_validate({"metric": "m"})


def test_settings_can_be_read_without_kafka():
    code = "import stream.kafka.settings, sys; sys.exit('kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
