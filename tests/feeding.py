"""Events on their way to a topic while a daemon reads it: in bursts, by user, some of them bad."""

import contextlib
import math
import random
import threading
import zlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

# Fewer a second than a small daemon reads: batches end by number and by age.
MAX_BURST = 80
MAX_AHEAD = 300
LOOK_EVERY_S = 0.02
PAUSES_S = (0.0, 0.05, 0.2, 0.2, 0.4, 1.0)

POISON: tuple[bytes | None, ...] = (
    None,
    b"",
    b"not JSON",
    b"\xff\xfe\x00",
    b"[1, 2, 3]",
    b'{"user": 7, "item": ["a"], "ts": "soon"}',
    b'{"type": "dream", "user": "u1", "ts": 1704067200000}',
    b'{"user": "u1", "item": "i1", "ts": 99999999999999999999}',
    b'{"user": "u1", "item": "i1", "ts": 2500000000000}',
    b'{"user": "u1", "item": "i1"}',
    b"\x00" * 20_000,
)


class Feeder:
    """Produces values in bursts from a thread of its own, for the length of a `with` block.

    Each goes to the partition of its user; about one in forty is followed by a bad one. The
    order, the bursts and the bad ones follow from `seed`. `hold` and `go_on` make it pause. A
    broker that is away for less than two minutes is waited for. At most about `MAX_AHEAD` records
    wait to be read, as far as `n_read` tells: on a slow machine too, the reader catches up.

    Parameters
    ----------
    bootstrap : str
        The broker.
    topic : str
        Where to.
    values : sequence of bytes
        Events as JSON.
    seed : int
        Of all that is random.
    n_read : callable, optional
        How many records were read.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        values: Sequence[bytes],
        seed: int,
        n_read: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._topic = topic
        self._values = values
        self._n_read = n_read
        self._rng = random.Random(seed)
        self._turn = threading.Lock()  # held by whoever may produce, or keeps others from it
        self._is_held = False
        self._is_hurried = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._sent: list[Any] = []
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            delivery_timeout_ms=120_000,
            max_block_ms=120_000,
            bootstrap_timeout_ms=20_000,
        )
        self._n_partitions = len(self._producer.partitions_for(topic))

    def __enter__(self) -> "Feeder":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._is_hurried.set()
        self.go_on()
        self._thread.join(30.0)
        # Of a test that failed nothing more is wanted, and its broker may be gone.
        with contextlib.suppress(KafkaTimeoutError if error else ()):
            self._producer.close(timeout=0 if error else 30.0)

    def hold(self) -> int:
        """Produce nothing for now; how many records the broker has got."""
        if not self._is_held:
            self._turn.acquire()
            self._is_held = True
        return self._acknowledged(60.0)

    def go_on(self) -> None:
        """Produce again; nothing happens unless it was held."""
        if self._is_held:
            self._is_held = False
            self._turn.release()

    def finish(self, timeout_s: float = 120.0) -> int:
        """Produce the rest at once; how many records the broker has got in all."""
        self._is_hurried.set()
        self.go_on()
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "not everything was produced in time"
        return self._acknowledged(timeout_s)

    def _acknowledged(self, timeout_s: float) -> int:
        self._producer.flush(timeout=timeout_s)
        for sent in self._sent:
            sent.get(timeout=timeout_s)
        return len(self._sent)

    def _run(self) -> None:
        left = list(reversed(self._values))
        while left and not self._is_over.is_set():
            with self._turn:
                for _ in range(min(self._rng.randint(1, MAX_BURST), len(left))):
                    self._send(left.pop())
                    if self._rng.random() < 1 / 40:
                        self._send(self._rng.choice(POISON))
            self._is_hurried.wait(self._rng.choice(PAUSES_S))
            while len(self._sent) > self._n_read() + MAX_AHEAD:
                if self._is_hurried.wait(LOOK_EVERY_S):
                    break

    def _send(self, value: bytes | None) -> None:
        user = _user(value)
        partition = zlib.crc32(user) % self._n_partitions
        sent = self._producer.send(self._topic, value, key=user, partition=partition)
        self._sent.append(sent)


def _user(value: bytes | None) -> bytes:
    """The key of a record: its user, or what stands in for one."""
    try:
        found = msgspec.json.decode(value or b"")
    except msgspec.DecodeError:
        return b"nobody"
    user = found.get("user") if isinstance(found, dict) else None
    return user.encode() if isinstance(user, str) else b"nobody"
