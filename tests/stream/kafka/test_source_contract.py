"""What every source promises, of a run that repeats its journal."""

from pathlib import Path

from tests.conformance.source_contract import SourceContract
from tests.stream.kafka.fakes_kafka import FakeBroker, running

BROKERS: dict[Path, FakeBroker] = {}


class RepeatedTopics:
    """A source over topics whose journal is there, closed when it has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if folder not in BROKERS:
            BROKERS[folder] = filled_broker()
            with running(BROKERS[folder], folder, topics=("clicks", "users")) as run:
                run.begin().records(60)

    def batches(self, start, next_seq=0, watermark_ms=0):
        broker, topics = BROKERS[self._folder], ("clicks", "users")
        with running(broker, self._folder, until_journal_end=True, topics=topics) as run:
            self._run = run
            yield from run.begin(start, next_seq, watermark_ms).rest()

    def acknowledge(self, end):
        self._run.source.acknowledge(end)


def filled_broker() -> FakeBroker:
    broker = FakeBroker(clicks=3, users=1)
    for n in range(40):
        broker.click(f"clicks/{n % 3}", 1000 + 7 * n % 50, f"i{n}")
        if n % 2 == 0:
            value = b"{" if n % 8 == 0 else b'{"type": "user", "user": "u", "ts": %d}' % (1000 + n)
            broker.send("users/0", value)
    return broker


class TestKafkaThatRepeats(SourceContract):
    make = staticmethod(RepeatedTopics)
