"""The thread that reads ahead, so that fetching and decoding go on while the loop learns."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from kafka.errors import CorruptRecordError, KafkaTimeoutError
from kafka.errors import KafkaError as ClientError

from stream.errors import KafkaError, SourceError
from stream.kafka.cluster.connection import explain, is_temporary
from stream.kafka.fetching.chunks import Chunk
from stream.kafka.fetching.consuming import Opened
from stream.kafka.fetching.contact import Contact
from stream.kafka.fetching.gaps import Gaps
from stream.kafka.fetching.handover import Handover, View
from stream.kafka.fetching.partitions import Partitions
from stream.kafka.fetching.positions import Cursor, Stretch
from stream.kafka.fetching.session import Session
from stream.kafka.settings import KafkaSourceConfig

# A client that heard nothing for this long is given up: another one looks the brokers up anew.
_GIVEN_UP_S = 30.0
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0)
# The same failure so many times within so long will come again.
_TRIES = 3
_SAME_WITHIN_S = 600.0
_CLOSE_TIMEOUT_S = 10.0


class Fetcher:
    """Reads partitions ahead, through as many consumers, one after the other, as it takes.

    A broker that is away, or silent, is waited for. What waiting does not mend ends the thread,
    and `take` raises it.

    Parameters
    ----------
    config : KafkaSourceConfig
        What is read, and how far ahead.
    connect : callable
        Opens a consumer.
    gaps : Gaps
        Is told of records that are gone.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        connect: Callable[[], Opened],
        gaps: Gaps,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._connect = connect
        self._gaps = gaps
        self._clock = clock
        self._partitions = Partitions(config, gaps)
        self._contact = Contact(config, clock)
        self._handover = Handover()
        self._started: dict[str, Cursor] = {}
        self._heard_s = clock()
        self._arrived_s: float | None = None
        self._unread: str | None = None
        self._n_failures = 0
        self._failures: list[tuple[float, str]] = []
        self._stop = threading.Event()
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-source")
        self._work: Future[None] | None = None

    def start(self, ahead: Mapping[str, tuple[Stretch, ...]]) -> None:
        """Begin to read: these partitions so far, and all others from where they begin."""
        self._partitions.add(ahead)
        self._work = self._reader.submit(self._run)

    @property
    def view(self) -> View:
        """What is known of the partitions now."""
        return self._handover.view

    def take(self, timeout_s: float) -> tuple[list[tuple[str, Chunk]], View]:
        """What was fetched since, waiting for it at most so long; and what is known after it.

        Raises
        ------
        GapError
            If records are gone, and the reading must not go on behind them.
        KafkaError
            If no waiting helps.
        SourceError
            If records are damaged.
        """
        is_over = self._work is not None and self._work.done()
        found = self._handover.take(0.0 if is_over else timeout_s)
        if is_over and not found[0] and self._work is not None:
            self._work.result()
        return found

    def used_up(self, name: str, n_records: int, n_bytes: int) -> None:
        """Records of a partition went on to the loop: there is room for others."""
        self._handover.used_up(name, n_records, n_bytes)

    def close(self) -> None:
        """End the thread, which closes its consumer, within seconds even if no broker answers."""
        self._stop.set()
        if self._work is not None:
            wait([self._work], timeout=_CLOSE_TIMEOUT_S)
        self._reader.shutdown(wait=False)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                opened = self._connect()
            except KafkaError as err:
                self._contact.refused(err)
            else:
                try:
                    self._read(opened)
                except ClientError as err:
                    self._failed(err)
                finally:
                    opened.close()
            self._publish([], are_ends_known=False)
            self._stop.wait(_BACKOFF_S[min(self._n_failures, len(_BACKOFF_S) - 1)])
            self._n_failures += 1

    def _read(self, opened: Opened) -> None:
        """Read through one consumer until it fails or is to end."""
        session = Session(
            self._config, opened, self._partitions, self._gaps, self._handover, self._clock
        )
        started = session.begin(self._stop.wait)
        self._started = {**self._started, **(started or {})}
        self._n_failures = 0
        are_ends_known = True
        while not self._stop.is_set():
            chunks = session.turn()
            self._heard_s = max(self._heard_s, session.heard_s)
            self._arrived_s = session.arrived_s or self._arrived_s
            heard_s = session.heard_s if self._contact.is_made else session.answered_s
            self._contact.listen(heard_s, opened.has_connection())
            if not self._contact.is_made:
                are_ends_known = False  # more may have been written since they were asked for
                if self._clock() - session.heard_s > _GIVEN_UP_S:
                    raise KafkaTimeoutError("no answer for too long")
            elif not are_ends_known:
                are_ends_known = session.refresh_ends()
            self._unread = session.problem
            self._publish(chunks, are_ends_known)

    def _failed(self, err: ClientError) -> None:
        """Go on with another consumer, if that may help.

        What is damaged on its way, or broken in half, is whole the next time; what is damaged on
        disk, or forbidden, fails again.
        """
        reason = explain(err, self._config.connection)
        if not is_temporary(err):
            now_s = self._clock()
            self._failures = [f for f in self._failures if now_s - f[0] < _SAME_WITHIN_S]
            self._failures.append((now_s, str(err)))
            if [text for _, text in self._failures].count(str(err)) >= _TRIES:
                if isinstance(err, CorruptRecordError):
                    raise SourceError(
                        f"{err}: damaged where the broker keeps it; restore it there, or start "
                        "behind it with source.kafka.start and an empty checkpoint.dir"
                    ) from err
                raise reason from err
        self._contact.lost(str(reason))

    def _publish(self, chunks: Sequence[tuple[str, Chunk]], are_ends_known: bool) -> None:
        view = View(
            marks=self._partitions.marks(are_ends_known),
            started=self._started,
            heard_s=self._heard_s,
            arrived_s=self._arrived_s,
            is_connected=self._contact.is_made,
            problem=self._contact.problem or self._partitions.problem or self._unread,
        )
        self._handover.deliver(chunks, view)
