import pytest
from structlog.testing import capture_logs

from stream.kafka.cluster.connection import ConnectionConfig
from stream.kafka.writing.messages import Destination
from stream.kafka.writing.reachability import Reachability

DESTINATION = Destination("alerts-topic", "alerts", "r1", ConnectionConfig(bootstrap="there:9092"))


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def reachability(clock, told):
    return Reachability(DESTINATION, told.append, incident_s=60.0, clock=clock)


def test_a_loss_is_logged_once_and_so_is_the_return(reachability, clock):
    with capture_logs() as logs:
        for _ in range(3):
            reachability.lost("no answer")
            clock.now_s += 5
        reachability.reached()
        reachability.reached()
    assert logs == [
        {
            "log_level": "warning",
            "event": "a topic cannot be reached; its messages wait in memory",
            "topic": "alerts-topic",
            "setting": "outputs.kafka.alerts",
            "reason": "no answer",
        },
        {
            "log_level": "info",
            "event": "a topic is reached again",
            "topic": "alerts-topic",
            "lost_s": 15.0,
        },
    ]


def test_a_short_loss_is_no_incident(reachability, clock, told):
    reachability.lost("no answer")
    clock.now_s += 59
    reachability.lost("no answer")
    reachability.reached()
    assert told == []


def test_a_long_loss_is_one_incident_and_resolved_once(reachability, clock, told):
    for _ in range(4):
        reachability.lost("no answer")
        clock.now_s += 30
    reachability.reached()
    reachability.reached()
    assert [(one.kind, one.name, one.is_resolved) for one in told] == [
        ("sink", "alerts-topic", False),
        ("sink", "alerts-topic", True),
    ]
    assert "(outputs.kafka.alerts) cannot be reached for 60 s: no answer" in told[0].text
    assert told[1].details["lost_s"] == 120.0


def test_a_second_loss_is_counted_from_its_own_begin(reachability, clock, told):
    reachability.lost("no answer")
    clock.now_s += 50
    reachability.reached()
    reachability.lost("no answer")
    clock.now_s += 50
    reachability.lost("no answer")
    assert told == []
    assert reachability.is_lost
