import pytest

from stream.errors import GapError
from stream.kafka.gaps import Gaps
from stream.kafka.positions import Stretch
from stream.kafka.roll import Roll
from stream.kafka.topic_watch import TopicFacts
from tests.stream.kafka.fakes_kafka import config_of


class Made:
    def __init__(self, *ahead, may_pass=True):
        self.incidents = []
        self.roll = Roll(config_of("clicks", "views"), Gaps(may_pass, self.incidents.append))
        if ahead:
            self.roll.add({"clicks/0": ahead})

    def compare(self, **topics):
        facts = {
            name: TopicFacts(topic_id, frozenset(range(count)))
            for name, (topic_id, count) in topics.items()
        }
        restarted, appeared = self.roll.compare(facts)
        return [one.name for one in restarted], sorted(one.name for one in appeared)


def test_partitions_that_appear_are_read_from_their_beginning():
    made = Made(Stretch("a", 7))
    assert made.compare(clicks=("a", 3)) == ([], ["clicks/0", "clicks/1", "clicks/2"])
    assert made.compare(clicks=("a", 3)) == ([], [])
    assert {one.name: one.offset for one in made.roll} == {
        "clicks/0": 7,
        "clicks/1": 0,
        "clicks/2": 0,
    }


def test_in_a_topic_created_again_the_reading_begins_anew_and_tells_what_it_knows_is_lost():
    made = Made(Stretch("a", 7))
    reading = made.roll.readings["clicks/0"]
    reading.proven_end, reading.end = 12, 500
    assert made.compare(clicks=("b", 1)) == (["clicks/0"], ["clicks/0"])
    assert (reading.topic_id, reading.offset, reading.end) == ("b", 0, None)
    [incident] = made.incidents
    assert incident.details["lost_records"] == 5
    assert incident.details["is_lower_bound"]


def test_where_the_journal_goes_on_in_the_new_topic_so_does_the_reading():
    made = Made(Stretch("a", 7, 20), Stretch("b", 3, 9), Stretch("b", 30))
    made.compare(clicks=("b", 1))
    reading = made.roll.readings["clicks/0"]
    assert reading.ahead == (Stretch("b", 3, 9), Stretch("b", 30))
    [incident] = made.incidents
    assert incident.details["lost_records"] == 13
    assert not incident.details["is_lower_bound"]


def test_a_partition_that_the_new_topic_does_not_have_is_missing():
    made = Made()
    made.roll.add({"clicks/0": (Stretch("a", 4),), "clicks/1": (Stretch("a", 4),)})
    made.compare(clicks=("b", 1))
    assert [(one.name, one.is_missing) for one in made.roll] == [
        ("clicks/0", False),
        ("clicks/1", True),
    ]
    assert {one.topic_id for one in made.roll} == {"b"}


def test_a_topic_created_again_ends_the_run_unless_it_may_be_passed():
    with pytest.raises(GapError, match="deleted and created again"):
        Made(Stretch("a", 7), may_pass=False).compare(clicks=("b", 1))


def test_a_topic_that_is_away_and_comes_back_is_the_same():
    made = Made(Stretch("a", 7))
    made.compare(clicks=("a", 1), views=("v", 1))
    assert made.roll.problem is None
    made.compare(views=("v", 1))
    assert "clicks does not exist" in made.roll.problem
    assert made.roll.marks(are_ends_known=True)["clicks/0"].is_missing
    assert made.compare(clicks=("a", 1), views=("v", 1)) == ([], ["clicks/0"])
    assert made.roll.problem is None
    assert [(one.kind, one.name, one.is_resolved) for one in made.incidents] == [
        ("topic", "clicks", False),
        ("topic", "clicks", True),
    ]


def test_a_topic_that_had_no_id_takes_the_one_it_gets():
    made = Made(Stretch("", 7))
    assert made.compare(clicks=("b", 1)) == ([], ["clicks/0"])
    assert made.roll.readings["clicks/0"].topic_id == "b"


def test_ends_that_nobody_is_sure_of_are_not_told():
    made = Made(Stretch("a", 7))
    made.roll.readings["clicks/0"].end = 9
    assert made.roll.marks(are_ends_known=True)["clicks/0"].end == 9
    assert made.roll.marks(are_ends_known=False)["clicks/0"].end is None
