"""What a sink was given and its topic may not have yet."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict

import structlog

from stream.errors import FreshrankError
from stream.kafka.writing.messages import Message, Place
from stream.values import State

LOGGER = structlog.get_logger("freshrank.kafka")

# How often a writer that waits for room looks whether it is told to go on.
_LOOK_S = 0.2


class Unacknowledged:
    """Numbered messages between the loop, which adds them, and the thread that sends them.

    Number n is the n-th message given since the run began. Those up to `sent_number` are on the
    topic; whichever of them is given again, by a loop that repeats what came after a checkpoint,
    is counted and dropped. `place` is where to look for messages that were sent later.

    Parameters
    ----------
    topic : str
        Its name, for the log.
    max_messages, max_bytes : int
        When `put` begins to wait for room. One message finds room in any case.
    """

    def __init__(self, topic: str, max_messages: int, max_bytes: int) -> None:
        self._topic = topic
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._messages: deque[Message] = deque()
        self._n_bytes = 0
        self._next_number = 0
        self._sent_number = -1
        self._place: Place | None = None
        self._failure: FreshrankError | None = None
        self._is_open = False
        self._is_wait_told = False
        self._is_waited_for = False
        self._while_waiting: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def place(self) -> Place | None:
        """Where messages that no state tells of would begin; None before the topic was seen."""
        return self._place

    def put(self, message: Message) -> None:
        """Add the next message; wait while there is no room for it.

        Raises
        ------
        FreshrankError
            What `fail` was told.
        """
        with self._changed:
            self._wait_for_room()
            self.raise_failure()
            if self._next_number > self._sent_number:
                self._messages.append(message)
                self._n_bytes += message.n_bytes
                self._changed.notify_all()
            self._next_number += 1

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits for room just now, and not only for a moment."""
        return self._is_waited_for

    def while_waiting(self, call: Callable[[], None]) -> None:
        """Have this called several times a second, in the thread that waits for room."""
        self._while_waiting = call

    def let_pass(self) -> None:
        """From now on nobody waits for room: the end is near, and what is left is little.

        Takes no lock, so that a signal handler may call it.
        """
        self._is_open = True

    def wake(self) -> None:
        """Have whoever waits for messages look around."""
        with self._changed:
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise what `fail` was told, if anything."""
        if self._failure is not None:
            raise self._failure

    def next_messages(
        self, max_messages: int, max_bytes: int, timeout_s: float
    ) -> tuple[int, list[Message]]:
        """The oldest messages and the number of the first; none if none came for so long.

        A message that is larger than `max_bytes` comes alone.
        """
        with self._changed:
            if not self._messages:
                self._changed.wait(timeout_s)
            taken: list[Message] = []
            n_bytes = 0
            for message in self._messages:
                n_bytes += message.n_bytes
                if taken and (n_bytes > max_bytes or len(taken) == max_messages):
                    break
                taken.append(message)
            return self._first_number, taken

    def acknowledge(self, number: int, place: Place) -> None:
        """The messages up to this number are on the topic, before `place`."""
        with self._changed:
            while self._messages and self._first_number <= number:
                self._n_bytes -= self._messages.popleft().n_bytes
            self._sent_number = max(self._sent_number, number)
            self._place = place
            self._is_wait_told = self._is_wait_told and bool(self._messages)
            self._changed.notify_all()

    def replace_first(self, message: Message) -> None:
        """Have another message under the number of the oldest one."""
        with self._changed:
            self._n_bytes += message.n_bytes - self._messages[0].n_bytes
            self._messages[0] = message

    def fail(self, failure: FreshrankError) -> None:
        """Nothing can be sent any more: whoever adds a message is told."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def state_dict(self) -> State:
        with self._changed:
            messages: Sequence[Message] = tuple(self._messages)
            numbers = {"next_number": self._next_number, "sent_number": self._sent_number}
            place = self._place
        return {
            "schema_version": 1,
            **numbers,
            "place": None if place is None else asdict(place),
            "messages": [_message_state(message) for message in messages],
        }

    def load_state_dict(self, state: State) -> None:
        with self._changed:
            self._next_number = state["next_number"]
            self._sent_number = state["sent_number"]
            self._place = None if state["place"] is None else Place(**state["place"])
            self._messages = deque(_message(kept) for kept in state["messages"])
            self._n_bytes = sum(message.n_bytes for message in self._messages)

    @property
    def _first_number(self) -> int:
        return self._next_number - len(self._messages)

    @property
    def _is_full(self) -> bool:
        return bool(self._messages) and (
            len(self._messages) >= self._max_messages or self._n_bytes >= self._max_bytes
        )

    def _wait_for_room(self) -> None:
        while self._is_full and not self._is_open and self._failure is None:
            has_moved = self._changed.wait(_LOOK_S)
            self._is_waited_for = self._is_waited_for or not has_moved
            self._while_waiting()
            if not has_moved and not self._is_wait_told:
                self._is_wait_told = True
                LOGGER.warning(
                    "the loop waits until a topic takes messages again",
                    topic=self._topic,
                    messages=len(self._messages),
                    bytes=self._n_bytes,
                )
        self._is_waited_for = False


def _message_state(message: Message) -> State:
    return {
        "key": message.key,
        "value": message.value,
        "headers": [[name, value] for name, value in message.headers],
        "is_cuttable": message.is_cuttable,
    }


def _message(state: State) -> Message:
    headers = tuple((name, value) for name, value in state["headers"])
    return Message(state["key"], state["value"], headers, state["is_cuttable"])
