import threading

from kafka import TopicPartition
from kafka.errors import GroupAuthorizationFailedError, KafkaTimeoutError

from stream.kafka.committing import OffsetCommitter
from tests.stream.kafka.fakes_kafka import config_of


class FakeGroup:
    """A consumer that commits, or does not."""

    def __init__(self):
        self.committed = []
        self.error = self.close_error = None
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.n_opened = self.n_closed = 0

    def open(self):
        self.n_opened += 1
        return self

    def commit(self, offsets, timeout_ms):
        self.may_commit.wait(5)
        if self.error is not None:
            raise self.error
        self.committed.append({part: one.offset for part, one in offsets.items()})

    def close(self, autocommit, timeout_ms):
        self.n_closed += 1
        if self.close_error is not None:
            raise self.close_error


def position(offset):
    return {"clicks/0": {"offset": offset, "topic_id": "a", "ts_ms": 0}}


def test_offsets_are_committed_and_the_consumer_is_closed():
    group = FakeGroup()
    committer = OffsetCommitter(config_of(group="g"), group.open)
    committer.commit(position(7))
    committer.close()
    committer.close()
    assert group.committed == [{TopicPartition("clicks", 0): 7}]
    assert (group.n_opened, group.n_closed) == (1, 1)


def test_of_positions_that_wait_only_the_newest_is_committed():
    group = FakeGroup()
    group.may_commit.clear()
    committer = OffsetCommitter(config_of(group="g"), group.open)
    for offset in range(1, 6):
        committer.commit(position(offset))
    group.may_commit.set()
    committer.close()
    assert group.committed[-1] == {TopicPartition("clicks", 0): 5}
    assert len(group.committed) <= 2


def test_a_commit_that_takes_too_long_is_no_word_on_the_brokers(caplog):
    group = FakeGroup()
    group.error = KafkaTimeoutError()
    committer = OffsetCommitter(config_of(group="g"), group.open)
    committer.commit(position(1))
    committer.close()
    [warning] = caplog.messages
    assert warning.startswith("offsets of group g cannot be committed: it took more than 5 s")


def test_a_failure_is_logged_once_and_tried_again_later(caplog):
    group = FakeGroup()
    group.error = GroupAuthorizationFailedError("g")
    committer = OffsetCommitter(config_of(group="g"), group.open)
    for offset in (1, 2):
        committer.commit(position(offset))
        committer._writer.submit(int).result()
    group.error = None
    committer.commit(position(3))
    committer.close()
    assert group.committed == [{TopicPartition("clicks", 0): 3}]
    assert len([one for one in caplog.records if "cannot be committed" in one.message]) == 1


def test_an_error_that_nobody_expects_is_logged(caplog):
    group = FakeGroup()
    group.error = RuntimeError("connection manager closed")
    committer = OffsetCommitter(config_of(group="g"), group.open)
    committer.commit(position(1))
    committer.close()
    [record] = [one for one in caplog.records if "cannot be committed" in one.message]
    assert record.exc_info[1] is group.error
    assert (group.n_opened, group.n_closed) == (1, 1)


def test_a_consumer_that_cannot_be_closed_is_not_used_again(caplog):
    group = FakeGroup()
    group.error = GroupAuthorizationFailedError("g")
    group.close_error = RuntimeError("no")
    committer = OffsetCommitter(config_of(group="g"), group.open)
    committer.commit(position(1))
    committer._writer.submit(int).result()
    group.error = group.close_error = None
    committer.commit(position(2))
    committer.close()
    assert (group.n_opened, group.committed) == (2, [{TopicPartition("clicks", 0): 2}])


def test_without_a_group_nothing_is_committed():
    group = FakeGroup()
    committer = OffsetCommitter(config_of(group=None), group.open)
    committer.commit(position(7))
    committer.close()
    assert group.n_opened == 0
