"""Records to a topic, each seen there once, in order, even after crashes.

Records are numbered from 0. What the topic has not acknowledged yet is part of the state, so no
checkpoint waits for a broker; a run that goes on from one reads the end of the topic to learn
what was sent after it, and passes those numbers by. A loop whose outputs are the same each time
therefore leaves on the topic what it would have left without a crash.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from stream.errors import SinkError
from stream.kafka.writing.messages import Destination, Message, record_message
from stream.kafka.writing.reachability import Reachability
from stream.kafka.writing.sending import Patience, Sender
from stream.kafka.writing.unacknowledged import Unacknowledged
from stream.notices import Incident
from stream.values import Record, State

LOGGER = structlog.get_logger("freshrank.kafka")


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """What may wait for the broker, and how long what is waited for.

    Past `max_pending` messages or `max_pending_bytes` a write waits. `close_s` is what closing
    gives to messages that wait still.
    """

    max_pending: int = 10_000
    max_pending_bytes: int = 64 << 20
    close_s: float = 5.0
    patience: Patience = field(default_factory=Patience)


class KafkaSink:
    """A topic of records; a thread of its own sends them.

    `write` waits for the broker only while the queue is full; `let_pass` ends that waiting for
    good. `flush` never waits: what is not on the topic then is in `state_dict`. `close` tries for
    some seconds to send the rest. What it cannot send is not lost if the state was saved after
    the last write, and the run goes on from there some day. A sink whose state nobody saves loses
    it, and says so.

    Parameters
    ----------
    destination : Destination
        The topic, which must exist, and the run.
    report : callable
        Takes an incident when the topic was away for a minute, and when it is back. Called in
        the thread that sends.
    message : callable
        What to send of a record.
    before_send : callable
        Called before anything is sent, in the thread that sends.
    is_resumed : bool
        Whether the run began in an earlier process. If there is no state of it then, all of the
        topic is searched for what it sent; else only what comes from now on.
    limits : SinkLimits
        How much may wait, and how long.

    Raises
    ------
    SinkError
        From `write`, `flush` and `close`, in the name of the setting: if the broker refuses, or a
        message is larger than it takes. `before_send` may fail too: then its own error.
    """

    def __init__(
        self,
        destination: Destination,
        report: Callable[[Incident], None],
        *,
        message: Callable[[Record], Message] = record_message,
        before_send: Callable[[], None] = lambda: None,
        is_resumed: bool = False,
        limits: SinkLimits = SinkLimits(),
    ) -> None:
        self._destination = destination
        self._message = message
        self._is_resumed = is_resumed
        self._is_saved = False  # whether a state holds what is not sent
        self._limits = limits
        self._waiting = Unacknowledged(
            destination.topic, limits.max_pending, limits.max_pending_bytes
        )
        self._reachability = Reachability(destination, report, limits.patience.incident_s)
        self._sender = Sender(
            destination, self._waiting, before_send, self._reachability, limits.patience
        )

    @property
    def n_pending(self) -> int:
        """Messages that are not known to be on the topic."""
        return len(self._waiting)

    @property
    def is_lost(self) -> bool:
        """Whether the topic cannot be reached just now."""
        return self._reachability.is_lost

    @property
    def waited_for(self) -> str | None:
        """What the loop waits for while a write finds no room; None while none does."""
        if not self._waiting.is_waited_for:
            return None
        problem = self._sender.problem or "it takes none just now"
        return f"{self.n_pending:,} records wait for topic {self._destination.topic}: {problem}"

    def while_waiting(self, call: Callable[[], None]) -> None:
        """Have this called several times a second while a write waits for room."""
        self._waiting.while_waiting(call)

    def start(self) -> None:
        """Begin to send; the first write or flush does so too."""
        if not self._sender.is_started:
            self._sender.start(is_new=not self._is_resumed)

    def write(self, record: Record) -> None:
        self.start()
        self._waiting.put(self._message(record))

    def flush(self) -> None:
        self.start()
        self._waiting.raise_failure()

    def let_pass(self) -> None:
        """No write waits for room from now on; a signal handler may call this."""
        self._waiting.let_pass()

    def close(self, timeout_s: float | None = None) -> None:
        """Send what waits, for some seconds at most; a topic that is away is not waited for."""
        if not self._sender.is_started and not self._waiting:
            return
        self.start()
        self._waiting.let_pass()
        timeout_s = self._limits.close_s if timeout_s is None else timeout_s
        self._sender.finish(0.0 if self.is_lost else timeout_s)
        if self._waiting:
            LOGGER.warning(
                "messages were not sent; the checkpoint holds them, a resumed run sends them"
                if self._is_saved
                else "messages were not sent, and will not be; the output's file alone holds them",
                topic=self._destination.topic,
                messages=len(self._waiting),
            )
        self._waiting.raise_failure()

    def state_dict(self) -> State:
        self._is_saved = True
        return {
            **self._waiting.state_dict(),
            "topic": self._destination.topic,
            "run_id": self._destination.run_id,
        }

    def load_state_dict(self, state: State) -> None:
        if state["run_id"] != self._destination.run_id:
            raise SinkError(
                f"{self._destination.setting}: the checkpoint is of run {state['run_id']}, this "
                f"is run {self._destination.run_id}: its messages could not be told apart from "
                "those on the topic; go on in the folder of that run"
            )
        self._is_resumed = self._is_saved = True
        # On another topic there is nothing of this run yet; whoever looks everywhere finds so.
        is_moved = state["topic"] != self._destination.topic
        self._waiting.load_state_dict({**state, "place": None} if is_moved else state)
