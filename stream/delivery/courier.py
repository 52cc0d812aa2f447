"""The thread that tells one destination what waits for it, one transition after the other."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.delivery.contact import INCIDENT_KIND, Contact
from stream.delivery.delivery_queue import Bounds, DeliveryQueue
from stream.delivery.posting import Answer, Poster, Request
from stream.delivery.put_aside import PutAside
from stream.delivery.transitions import Transition, Wanted
from stream.errors import ConfigError, SinkError
from stream.notices import Incident

LOGGER = logging.getLogger("freshrank.delivery")

_LOOK_S = 0.5
_LET_GO_S = 1.0


class Endpoint(Protocol):
    """A destination: what it wants to be told, and how that is said.

    `request` and `reminder` raise a ConfigError where a secret cannot be read just now.
    """

    title: str
    setting: str
    wants: Wanted
    bounds: Bounds
    resend_interval_s: float | None

    @property
    def file_stem(self) -> str: ...

    def request(self, told: Transition, now_ms: int) -> Request: ...

    def reminder(self, standing: Sequence[Transition], now_ms: int) -> Request | None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is waited for.

    `first_retry_s` after the first try that failed, twice as long after each further one, and
    `last_retry_s` at most. `incident_s` before a destination that takes nothing is an incident.
    Where it takes nothing from us, be it that a token has expired, transitions are given up after
    `stranger_s`.
    """

    first_retry_s: float = 1.0
    last_retry_s: float = 60.0
    incident_s: float = 60.0
    stranger_s: float = 3_600.0

    def retry_s(self, n_failed: int) -> float:
        """The wait after so many tries that failed.

        Examples
        --------
        >>> [Patience().retry_s(n_failed) for n_failed in (1, 2, 3, 6, 7, 10_000)]
        [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
        """
        # A power beyond this one is beyond every limit, and would be no number some day.
        return min(self.first_retry_s * 2.0 ** min(n_failed - 1, 30), self.last_retry_s)


class Courier:
    """Tells an endpoint what waits in its queue, in order, each transition until it is accepted.

    One that is refused for good is put aside and told of once; it would hold up all that come
    after it.

    Parameters
    ----------
    endpoint : Endpoint
        Whom to tell.
    queue : DeliveryQueue
        What.
    poster : Poster
        Sends the requests.
    aside : PutAside
        Takes what was refused.
    report : callable
        Takes incidents.
    patience : Patience
        How long to wait for what.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        queue: DeliveryQueue,
        poster: Poster,
        aside: PutAside,
        report: Callable[[Incident], None],
        patience: Patience = Patience(),
    ) -> None:
        self._endpoint = endpoint
        self._queue = queue
        self._poster = poster
        self._aside = aside
        self._report = report
        self._patience = patience
        self._contact = Contact(endpoint.title, report, patience.incident_s)
        self._n_delivered = self._n_refused = self._n_failed_tries = 0
        self._n_dropped_told = queue.n_dropped
        self._is_dropping = False
        self._remind_at_s = time.monotonic()
        self._is_ending = threading.Event()
        self._end_s = float("inf")
        self._thread = threading.Thread(
            target=self._run, name=f"deliver-{endpoint.title}"[:60], daemon=True
        )

    @property
    def problem(self) -> str | None:
        """Why the endpoint takes nothing just now."""
        if not self._thread.is_alive() and not self._is_ending.is_set():
            return "the thread that tells it has ended; the log says why"
        return self._contact.problem

    @property
    def n_delivered(self) -> int:
        """Transitions that were accepted since the process began."""
        return self._n_delivered

    @property
    def n_refused(self) -> int:
        """Transitions that were put aside since the process began."""
        return self._n_refused

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def end(self, timeout_s: float) -> None:
        """Tell what waits, for so long at most; one that takes nothing is not waited for."""
        self._end_s = time.monotonic() + (0.0 if self._contact.problem else timeout_s)
        self._is_ending.set()
        self._queue.wake()

    def join(self) -> None:
        """Return when it has ended; a request that is still under way is cut off."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, self._end_s - time.monotonic()))
            self._poster.abort()
            self._thread.join(_LET_GO_S)

    def _run(self) -> None:
        while not self._is_over():
            now_s = time.monotonic()
            if (waiting := self._queue.first()) is not None:
                self._tell(*waiting)
            elif self._endpoint.resend_interval_s is not None and now_s >= self._remind_at_s:
                self._remind(self._endpoint.resend_interval_s)
            else:
                self._queue.wait(max(0.0, min(_LOOK_S, self._remind_in_s(now_s))))
            self._tell_of_dropped()

    def _remind_in_s(self, now_s: float) -> float:
        is_reminded = self._endpoint.resend_interval_s is not None
        return self._remind_at_s - now_s if is_reminded else _LOOK_S

    def _tell(self, number: int, told: Transition) -> None:
        """Try once, and wait if another try may help."""
        answer = self._sent(lambda now_ms: self._endpoint.request(told, now_ms))
        assert answer is not None, "there is always something to say of a transition"
        is_given_up = answer.outcome == "refused"
        if answer.outcome == "accepted":
            self._n_delivered += 1
            self._kept(lambda: self._queue.accepted(number, _now_ms()))
        elif answer.outcome == "stranger":
            lost_s = self._contact.lost(answer.reason, is_for_good=True)
            is_given_up = lost_s >= self._patience.stranger_s
        if is_given_up:
            self._give_up(number, told, answer.reason)
        elif answer.outcome != "accepted":
            self._wait(answer)
            return
        self._n_failed_tries = 0

    def _remind(self, interval_s: float) -> None:
        """Tell again how alerts stand."""
        self._remind_at_s = time.monotonic() + interval_s
        answer = self._sent(
            lambda now_ms: self._endpoint.reminder(self._queue.standing(now_ms), now_ms)
        )
        if answer is None or answer.outcome == "accepted":
            self._n_failed_tries = 0
        elif answer.outcome == "refused":
            LOGGER.warning(
                "%s does not take how alerts stand: %s", self._endpoint.title, answer.reason
            )
        else:
            if answer.outcome == "stranger":
                self._contact.lost(answer.reason, is_for_good=True)
            self._remind_at_s = time.monotonic()
            self._wait(answer)

    def _sent(self, make: Callable[[int], Request | None]) -> Answer | None:
        """What came of a request; None where there was nothing to say."""
        try:
            request = make(_now_ms())
        except ConfigError as err:
            answer = Answer("later", str(err))
        else:
            if request is None:
                return None
            answer = self._poster.send(request)
        if answer.outcome in ("accepted", "refused"):
            self._contact.reached()
        elif answer.outcome == "later" and not self._is_ending.is_set():
            self._contact.lost(answer.reason)
        return answer

    def _give_up(self, number: int, told: Transition, reason: str) -> None:
        self._n_refused += 1
        title = self._endpoint.title
        LOGGER.error("%s will not take %s %s: %s", title, told.key, told.state, reason)
        self._kept(lambda: self._aside.put(title, told, reason, _now_ms()))
        self._kept(lambda: self._queue.given_up(number))
        if told.record.get("kind") != INCIDENT_KIND:
            self._report(
                Incident(
                    "refused",
                    title,
                    f"destination {title} does not take {told.key} {told.state}, which is put "
                    f"aside: {reason}",
                    details={"destination": title, "id": told.id},
                )
            )

    def _tell_of_dropped(self) -> None:
        """Tell of what found no room: when it begins, and when all that waited is told."""
        n_dropped, title = self._queue.n_dropped, self._endpoint.title
        has_dropped, is_over = n_dropped > self._n_dropped_told, not len(self._queue)
        if has_dropped and not self._is_dropping:
            self._is_dropping = True
            text = (
                f"more waits for {title} than its queue_bytes allow: what came and went is "
                "dropped, the oldest first; it stands in alerts.jsonl"
            )
            LOGGER.error("%s", text)
            self._report(Incident("dropped", title, text, details={"destination": title}))
        if self._is_dropping and is_over:
            n_missing = n_dropped - self._n_dropped_told
            self._is_dropping, self._n_dropped_told = False, n_dropped
            text = f"{title} was told all that waited, but for {n_missing} that were dropped"
            details = {"destination": title, "dropped": n_missing}
            self._report(Incident("dropped", title, text, is_resolved=True, details=details))

    def _wait(self, answer: Answer) -> None:
        self._n_failed_tries += 1
        wait_s = max(self._patience.retry_s(self._n_failed_tries), answer.wait_s)
        if self._is_ending.is_set():
            time.sleep(max(0.0, min(wait_s, self._end_s - time.monotonic())))
        else:
            self._is_ending.wait(wait_s)

    def _kept(self, write: Callable[[], None]) -> None:
        """Write something down; a full disk leaves it to be told once more after a restart."""
        try:
            write()
        except SinkError as err:
            LOGGER.error("%s", err)

    def _is_over(self) -> bool:
        if not self._is_ending.is_set():
            return False
        return not len(self._queue) or time.monotonic() >= self._end_s


def _now_ms() -> int:
    return round(time.time() * 1000)
