"""How soon a click is learned: from its production to the first prediction that knows of it.

Events of the simulated shop, lists and purchases and all, are produced by another process at a
steady rate onto four partitions, for a daemon's loop that has learned thousands of events before.
A click is produced when its producer looked at the clock, right before `send`. It is learned when
the champion's `learn` of its batch returned: whoever asked from then on would be answered by
weights that know it. It is first used when the champion's `predict` of the next batch returned;
the last batch of a stretch has none, and its clicks have no such time. A click on an item that
its batch brought up is learned with the batch after.
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.kafka_loop import pipeline_over_kafka, settings_of, settled
from deploy.kafka.local_kafka import LocalKafka
from learners.panel import Panel
from stream.build import build_learner
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.protocols import Learner
from stream.values import Batch, Changes, Outcomes, Predictions, Queries, State

WARM_UP_EVENTS = 20_000
N_PARTITIONS = 4


ALONE = ["champion=transformer", "shadows=[]"]
LARGE_STEPS = ["learner.minibatch=256", "batch.events=1024"]
# Settings, and the rates that are tried under them.
VARIANTS: list[tuple[list[str], list[int]]] = [
    (["champion=transformer"], [100, 1_000]),
    (["champion=transformer", "batch.max_age_ms=200"], [100]),
    (ALONE, [1_000]),
    ([*ALONE, "learner.replay_ratio=1"], [1_000]),
    ([*ALONE, "learner.replay_ratio=1", *LARGE_STEPS], [1_000]),
]
ROW = "{:>10} {:>9} {:>14} {:>15} {:>15} {:>6}"


def measure(broker: LocalKafka, folder: Path, seconds: int) -> None:
    """Print the table.

    Parameters
    ----------
    broker : LocalKafka
        A broker to fill.
    folder : Path
        For the run's files.
    seconds : int
        How long a rate is kept up.
    """
    print(f"\nseconds from a click's production, p50 / p99, over {seconds} s")
    print(
        ROW.format("events/s", "clicks", "events behind", "learned", "first used", "CPU"),
        flush=True,
    )
    for number, (overrides, rates) in enumerate(VARIANTS):
        topic = f"freshness-{number}"
        broker.create_topic(topic, N_PARTITIONS)
        config = settings_of(broker.bootstrap, topic, folder, overrides)
        stretches = [Stretch(0, WARM_UP_EVENTS), *(Stretch(rate, rate * seconds) for rate in rates)]
        course = Course(broker.bootstrap, topic, stretches, folder)
        taught = run(config, course, folder / topic)
        warm_up, *outcomes = course.outcomes
        speed = warm_up.stretch.n_events / warm_up.took_s
        print(f"{' '.join(overrides) or 'defaults'} (a backlog goes at {speed:,.0f} events/s)")
        for outcome in outcomes:
            tell(outcome, taught)


def run(config: FreshrankConfig, course: "Course", out: Path) -> list["Taught"]:
    """Let the loop learn until the course is over; its batches."""
    taught: list[Taught] = []
    timed = Timed(build_learner(config, config.champion))

    def on_batch(batch: Batch | None, pipeline: Pipeline) -> None:
        if batch is not None and len(batch.clicks):
            row_B = pipeline.parts.tables["catalogue"].rows(batch.clicks.item_B)
            times_s = (timed.predicted_s, timed.learned_s)
            taught.append(Taught(*times_s, batch.clicks.origin_B or (), row_B < timed.n_items))
        if course.is_over(pipeline.n_records):
            pipeline.stop()

    with pipeline_over_kafka(config, out, on_batch) as (built, source), settled():
        shadows = {name: build_learner(config, name) for name in config.shadows}
        panel = Panel((config.champion, timed), shadows)
        pipeline = Pipeline(replace(built.parts, panel=panel), on_batch)
        pipeline.run(source.starting_position())
    return taught


def tell(outcome: "Outcome", taught: Sequence["Taught"]) -> None:
    learned_N, used_N = waits(outcome.produced, taught)
    print(
        ROW.format(
            f"{outcome.stretch.rate:,}",
            f"{len(learned_N):,}",
            f"{outcome.n_behind:,}",
            quantiles(learned_N),
            quantiles(used_N),
            f"{outcome.cpu_s / outcome.took_s:.2f}",
        ),
        flush=True,
    )


def waits(
    produced: Mapping[str, float], taught: Sequence["Taught"]
) -> tuple[np.ndarray, np.ndarray]:
    """How long each click of a stretch waited until it was learned, and until it was used."""
    learned, used = [], []
    for number, batch in enumerate(taught):
        for origin, is_known in zip(batch.origin_B, batch.is_known_B.tolist(), strict=True):
            if (produced_s := produced.get(origin)) is None:
                continue
            last = number if is_known else number + 1
            if last < len(taught):
                learned.append(taught[last].learned_s - produced_s)
            if last + 1 < len(taught) and any(o in produced for o in taught[last + 1].origin_B[:1]):
                used.append(taught[last + 1].predicted_s - produced_s)
    return np.array(learned), np.array(used)


def quantiles(wait_N: np.ndarray) -> str:
    p50, p99 = np.percentile(wait_N, [50, 99])
    return f"{p50:.2f} / {p99:.2f}"


@dataclass(frozen=True)
class Stretch:
    """So many events at one rate; a rate of 0 is all at once."""

    rate: int
    n_events: int


@dataclass(frozen=True)
class Taught:
    """One batch: when the champion had predicted and learned it, and where its clicks were.

    `is_known_B` says which clicks were on items that were known when the batch began.
    """

    predicted_s: float
    learned_s: float
    origin_B: Sequence[str]
    is_known_B: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What came of a stretch: `n_behind` events were not taken when the last one was produced."""

    stretch: Stretch
    took_s: float
    cpu_s: float
    n_behind: int
    produced: Mapping[str, float]


class Timed:
    """A learner that looks at the clock when it has predicted, and when it has learned."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.predicted_s = self.learned_s = 0.0
        self.n_items = 0

    def predict(self, queries: Queries) -> Predictions:
        predictions = self._learner.predict(queries)
        self.predicted_s = time.time()
        self.n_items = queries.n_items
        return predictions

    def learn(self, outcomes: Outcomes) -> None:
        self._learner.learn(outcomes)
        self.learned_s = time.time()

    def follow(self, changes: Changes) -> None:
        self._learner.follow(changes)

    def state_dict(self) -> State:
        return self._learner.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._learner.load_state_dict(state)


class Course:
    """Stretches one after the other: the next begins when everything of the last was taken."""

    def __init__(self, bootstrap: str, topic: str, stretches: Sequence[Stretch], folder: Path):
        self._address = [bootstrap, topic]
        self._stretches = list(stretches)
        self._folder = folder
        self._n_before = 0
        self._producer: subprocess.Popen[bytes] | None = None
        self._began_cpu_s = 0.0
        self._n_behind: int | None = None
        self.outcomes: list[Outcome] = []

    def is_over(self, n_records: int) -> bool:
        """Move on, if it is time; whether nothing is left to be done."""
        if self._producer is None:
            if len(self.outcomes) == len(self._stretches):
                return True
            self._begin()
            return False
        stretch = self._stretches[len(self.outcomes)]
        until = self._n_before + stretch.n_events
        if self._n_behind is None and self._producer.poll() is not None:
            assert self._producer.returncode == 0, "the producer says why"
            self._n_behind = until - n_records
        if self._n_behind is not None and n_records >= until:
            self._end(stretch)
        return False

    def _begin(self) -> None:
        stretch = self._stretches[len(self.outcomes)]
        numbers = [self._n_before, stretch.n_events, stretch.rate]
        arguments = [*self._address, *map(str, numbers), str(self._out)]
        self._n_behind = None
        self._began_cpu_s = time.process_time()
        self._producer = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.paced_producer", *arguments]
        )

    def _end(self, stretch: Stretch) -> None:
        with np.load(self._out) as file:
            topic = self._address[1]
            columns = [file[name].tolist() for name in ("partition", "offset", "produced_s")]
        produced = {
            f"{topic}[{part}]@{offset}": s for part, offset, s in zip(*columns, strict=True)
        }
        assert self._n_behind is not None, "the producer is done"
        self.outcomes.append(
            Outcome(
                stretch,
                time.time() - min(produced.values()),
                time.process_time() - self._began_cpu_s,
                self._n_behind,
                produced,
            )
        )
        self._n_before += stretch.n_events
        self._producer = None

    @property
    def _out(self) -> Path:
        return self._folder / f"produced-{len(self.outcomes)}.npz"
