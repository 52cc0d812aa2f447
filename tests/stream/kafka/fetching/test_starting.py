import pytest

from stream.kafka.fetching.starting import start_of, unknown_topic
from tests.stream.kafka.fakes_kafka import Clock, FakeBroker, config_of


@pytest.mark.parametrize(
    ("missing", "existing", "hint"),
    [
        ("clikcs", ["buys", "clicks"], "did you mean clicks? correct"),
        ("x", ["clicks"], "see it; correct the name"),
    ],
)
def test_the_nearest_name_is_offered(missing, existing, hint):
    message = str(unknown_topic(missing, existing, config_of(missing)))
    assert message.startswith("source.kafka.topics: there is no topic")
    assert hint in message


def test_a_start_covers_every_partition_of_every_topic():
    broker = FakeBroker(clicks=2, views=1)
    broker.click("clicks/1", 5)
    config = config_of("clicks", "views", start="latest")
    cursors = start_of(config, broker.open, Clock(), lambda: False)
    assert {name: cursor.offset for name, cursor in cursors.items()} == {
        "clicks/0": 0,
        "clicks/1": 1,
        "views/0": 0,
    }


def test_waiting_for_a_topic_can_be_ended():
    broker = FakeBroker(clicks=1)
    assert start_of(config_of("views"), broker.open, Clock(), lambda: True) is None
    assert broker.opened[0].is_closed
