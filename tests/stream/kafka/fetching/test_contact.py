import pytest
from kafka.errors import KafkaTimeoutError

from stream.errors import KafkaError
from stream.kafka.fetching.contact import Contact
from tests.stream.kafka.fakes_kafka import config_of


def refusal(is_temporary):
    err = KafkaError("away" if is_temporary else "wrong password")
    err.__cause__ = KafkaTimeoutError() if is_temporary else ValueError()
    return err


class Made:
    def __init__(self, *faults):
        self.now_s = 100.0
        faults = list(faults)
        self.contact = Contact(
            config_of(), lambda: self.now_s, lambda _: faults.pop(0) if faults else None
        )

    def listen(self, silent_s, has_connection=True):
        self.contact.listen(self.now_s - silent_s, has_connection)
        return self.contact.is_made


@pytest.mark.parametrize(
    ("silent_s", "has_connection", "is_made"),
    [(5, True, True), (7, True, False), (1, False, True), (2, False, False)],
)
def test_who_is_not_heard_for_long_is_lost(silent_s, has_connection, is_made):
    made = Made()
    assert made.listen(0)
    assert made.listen(silent_s, has_connection) is is_made


def test_who_is_lost_is_not_back_by_a_connection_that_leads_nowhere():
    made = Made()
    assert made.listen(0)
    assert not made.listen(2, has_connection=False)
    assert not made.listen(2, has_connection=True)
    made.now_s += 1
    assert made.listen(0)


def test_it_is_said_once_that_contact_is_lost_and_once_that_it_is_back(caplog):
    caplog.set_level("INFO", "freshrank.kafka")
    made = Made()
    for silent_s in (0, 7, 8, 9, 0, 0):
        made.listen(silent_s)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_wrong_password_at_first_is_fatal_at_once():
    with pytest.raises(KafkaError, match="wrong password"):
        Made().contact.refused(refusal(is_temporary=False))


def test_later_it_is_fatal_the_second_time():
    contact = Made().contact
    contact.made()
    contact.refused(refusal(is_temporary=False))
    contact.refused(refusal(is_temporary=True))
    contact.refused(refusal(is_temporary=False))
    with pytest.raises(KafkaError, match="wrong password"):
        contact.refused(refusal(is_temporary=False))


def test_a_broker_that_is_away_is_waited_for():
    contact = Made().contact
    for _ in range(9):
        contact.refused(refusal(is_temporary=True))
    assert (contact.is_made, contact.problem) == (False, "away")


def test_who_is_lost_for_long_is_asked_why():
    made = Made(refusal(is_temporary=True), refusal(is_temporary=False))
    made.listen(0)
    made.listen(7)
    assert "do not answer" in made.contact.problem
    made.now_s += 10
    made.listen(17)
    assert made.contact.problem == "away"
    made.now_s += 10
    made.listen(27)
    assert made.contact.problem == "wrong password"
