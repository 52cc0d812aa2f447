"""Records as messages of a topic: where they go, and which record each of them is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from stream.kafka.cluster.connection import SOURCE_CONNECTION, ConnectionConfig
from stream.values import Record

# The run and the output that sent a message, and its number there: 0, 1, 2, ...
RUN = "freshrank-run"
OUTPUT = "freshrank-output"
NUMBER = "freshrank-number"

# What keys the record: `seq` and `name`.
SEQ = "freshrank-seq"
NAME = "freshrank-name"

# Of a dead letter: where the bytes came from, and why they could not be used.
ORIGIN = "freshrank-origin"
REASON = "freshrank-reason"

# The length of a value before it was cut, in bytes.
CUT = "freshrank-cut"

Header = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Destination:
    """A topic, and who writes to it.

    `output` is the name of the setting under `outputs.kafka`; messages of a run and output are
    numbered. `connection_setting` says where the connection is configured.
    """

    topic: str
    output: str
    run_id: str
    connection: ConnectionConfig
    connection_setting: str = SOURCE_CONNECTION

    @property
    def setting(self) -> str:
        """The setting to name in an error."""
        return f"outputs.kafka.{self.output}"


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a topic: `offset` is the first message of `partition` not looked at yet.

    `topic_id` is another one once the topic was deleted and made again; empty where the broker
    is too old to tell.
    """

    topic_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """What goes onto a topic. Without a key it gets the id of the run.

    `is_cuttable` says that the beginning of the value is worth more than nothing: it may be sent
    alone if the broker does not take all of it.
    """

    key: bytes | None
    value: bytes
    headers: tuple[Header, ...] = ()
    is_cuttable: bool = False

    @property
    def n_bytes(self) -> int:
        """What it takes in a request, rounded up."""
        n_headers = sum(len(name) + len(value) + 10 for name, value in self.headers)
        return len(self.key or b"") + len(self.value) + n_headers + 250


def record_message(record: Record) -> Message:
    r"""A record as JSON: the bytes of its line in a file, without the end of the line.

    Examples
    --------
    >>> record_message({"seq": 4, "name": "recall@20", "total": 0.25}).value
    b'{"seq":4,"name":"recall@20","total":0.25}'
    """
    return Message(None, msgspec.json.encode(record), _keys(record))


def dead_letter_message(record: Record) -> Message:
    """A dead letter: the bytes that came, untouched; origin and reason in the headers."""
    headers = (
        *_keys(record),
        (ORIGIN, record["origin"].encode()),
        (REASON, record["reason"].encode("utf-8", "backslashreplace")),
    )
    return Message(None, record["raw"], headers, is_cuttable=True)


def cut_in_half(message: Message) -> Message:
    """The first half of a value, and in a header how long it was before it was cut at all.

    Examples
    --------
    >>> once = cut_in_half(Message(None, b"12345678", is_cuttable=True))
    >>> cut_in_half(once)
    Message(key=None, value=b'12', headers=(('freshrank-cut', b'8'),), is_cuttable=True)
    """
    headers = message.headers
    if not any(name == CUT for name, _ in headers):
        headers = (*headers, (CUT, b"%d" % len(message.value)))
    return replace(message, value=message.value[: len(message.value) // 2], headers=headers)


def number_headers(run_id: str, output: str, number: int) -> tuple[Header, ...]:
    """The headers by which a sink knows its own messages."""
    return ((RUN, run_id.encode()), (OUTPUT, output.encode()), (NUMBER, b"%d" % number))


def number_of(headers: Iterable[Header], run_id: str, output: str) -> int | None:
    """The number of a message of this run and output; None for anybody else's.

    Examples
    --------
    >>> number_of(number_headers("r1", "alerts", 7), "r1", "alerts")
    7
    >>> number_of(number_headers("r1", "alerts", 7), "r1", "metrics")
    """
    by_name = dict(headers)
    number = by_name.get(NUMBER, b"")
    is_own = by_name.get(RUN) == run_id.encode() and by_name.get(OUTPUT) == output.encode()
    return int(number) if is_own and number.isdigit() else None


def _keys(record: Record) -> tuple[Header, ...]:
    return ((SEQ, b"%d" % record["seq"]), (NAME, record["name"].encode()))
