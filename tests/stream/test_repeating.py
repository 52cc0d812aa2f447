from pathlib import Path

import pytest

from stream.errors import CheckpointError
from stream.journal import Entry
from stream.kafka.settings import KafkaSourceConfig
from stream.repeating import (
    changes_text,
    read_as_then,
    reading_settings,
    refuse_other_settings,
)

OUT = Path("run")


def config_of(topics=("clicks",), **changes):
    connection = {"bootstrap": "localhost:9092"}
    return KafkaSourceConfig.model_validate({"connection": connection, "topics": topics, **changes})


def settings_of(topics=("clicks",), **changes):
    return reading_settings(config_of(topics, **changes))


def entries_under(*settings):
    return [Entry(seq, {}, 0, settings=one) for seq, one in enumerate(settings, 7)]


CHANGES = {
    "max_ahead": ({"max_ahead": "1h"}, "source.kafka.max_ahead was 86400000, is 3600000;"),
    "max_record_bytes": (
        {"max_record_bytes": 10},
        "source.kafka.max_record_bytes was 1048576, is 10;",
    ),
    "isolation": (
        {"isolation": "read_uncommitted"},
        "source.kafka.isolation was read_committed, is read_uncommitted;",
    ),
    "type": (
        {"topics": [{"name": "clicks", "type": "feedback"}]},
        "source.kafka.topics.clicks.type was click, is feedback;",
    ),
    "map": (
        {"topics": [{"name": "clicks", "map": {"user": "u"}}]},
        "source.kafka.topics.clicks.map was {}, is {'user': 'u'};",
    ),
    "format": (
        {"topics": [{"name": "clicks", "format": "msgpack"}]},
        "source.kafka.topics.clicks.format was json, is msgpack;",
    ),
}


@pytest.mark.parametrize(("changed", "told"), CHANGES.values(), ids=CHANGES)
def test_what_would_make_another_batch_of_the_same_records_is_refused_by_name(changed, told):
    with pytest.raises(CheckpointError) as refused:
        refuse_other_settings(entries_under(settings_of(), None), settings_of(**changed), OUT)
    text = str(refused.value)
    assert text.startswith("run: batches 7 to 8, which the journal has after the newest whole")
    assert f"were read under other settings: {told} set them back, start again," in text


FREE = {
    "where-batches-end": {"backlog_records": 1, "idle_after": "1s"},
    "how-it-reads": {"buffer_records": 5, "on_gap": "earliest", "group": None, "start": "latest"},
    "another-topic": {"topics": ["clicks", "views"]},
    "another-order": {"topics": ["views", "clicks"]},
}


@pytest.mark.parametrize("changed", FREE.values(), ids=FREE)
def test_what_is_in_the_journal_itself_may_change(changed):
    assert changes_text(settings_of(), settings_of(**changed)) == ""


def test_a_topic_that_is_not_read_any_more_is_left_to_the_source():
    assert changes_text(settings_of(["clicks", "views"]), settings_of(["clicks"])) == ""


def test_a_journal_that_tells_no_settings_is_repeated():
    assert refuse_other_settings(entries_under(None, None), settings_of(), OUT) is None
    assert changes_text(None, settings_of()) == ""


def test_a_change_amid_what_is_to_be_repeated_cannot_be_set_back():
    before, after = settings_of(), settings_of(max_ahead="1h")
    told = r"max_ahead was 86400000 and 3600000, is 3600000; no settings repeat all of these"
    with pytest.raises(CheckpointError, match=told):
        refuse_other_settings(entries_under(before, after), after, OUT)


def test_what_a_journal_tells_is_read_as_it_was_then():
    then = config_of(topics=[{"name": "views.v1", "type": "impression"}], max_ahead="1h")
    now = config_of(topics=["clicks"], isolation="read_uncommitted", group="team")
    read = read_as_then(now, reading_settings(then))
    assert reading_settings(read) == reading_settings(then)
    assert (read.group, read.connection) == (now.group, now.connection)


def test_what_no_journal_tells_is_read_as_it_is():
    assert read_as_then(config_of(), None) == config_of()
