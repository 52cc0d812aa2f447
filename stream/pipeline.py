"""The loop and the commit: the product, on one screen."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from evaluators.alert_rules import AlertsConfig
from evaluators.alerts import Alerts
from learners.panel import Panel
from stream.anchors import Anchors
from stream.announcing import announce
from stream.checkpoint import Checkpoints
from stream.checkpoint_files import Kind
from stream.contexts import ContextBuilder
from stream.joiner import Joiner
from stream.notices import Moment
from stream.protocols import Evaluator, Source, Stateful
from stream.reactor import Reactor
from stream.sinks.outputs import Outputs
from stream.stage_clock import StageClock
from stream.values import Batch, Position, Record, State

LOGGER = logging.getLogger("freshrank.pipeline")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop is made of. `tables` are the catalogue and the histories, by name."""

    source: Source
    tables: dict[str, Stateful]
    contexts: ContextBuilder
    panel: Panel
    joiner: Joiner
    evaluator: Evaluator
    alerts: Alerts
    reactor: Reactor
    anchors: Anchors
    outputs: Outputs
    checkpoints: Checkpoints


class Pipeline:
    """Runs a stream through the loop, and starts again where a checkpoint stopped.

    `on_batch` is called after each batch, and with None where a live source had none. `stop` and
    `checkpoint_soon` may be called from a signal handler; `stop` ends the run after the batch in
    hand. `stages` says where the time of `clock_s` went.
    """

    def __init__(
        self,
        parts: Parts,
        on_batch: "OnBatch | None" = None,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.parts = parts
        self.stages = StageClock(clock_s)
        self._on_batch = on_batch
        # Plain values: an Event's own lock could be taken twice, by the loop and a signal handler.
        self._is_stopped = self._wants_checkpoint = False
        self._committed_seq = 0
        self._next_seq = 0
        self._n_records = 0
        self._n_events = 0
        self._watermark_ms = 0
        self._handed_over: Position | None = None

    def run(self, start: Position | None = None) -> None:
        """Read the source to its end, or until `stop`, and commit what was done."""
        parts = self.parts
        end = self._handed_over = start
        self.stages.start()
        if not self._next_seq:
            parts.anchors.begin(start or {})
        for arrived in parts.source.batches(start, self._next_seq, self._watermark_ms):
            if arrived is not None:  # None: nothing came, but the clock went on
                self.take(arrived)
                end = arrived.end
            if end is not None:
                self.commit_if_due(end)
            if self._on_batch is not None:
                self._on_batch(arrived, self)
            if self._is_stopped:
                break
        if end is not None and self._next_seq != self._committed_seq:
            self._commit(end, "ckpt")
        parts.checkpoints.wait()
        self._acknowledge()
        self.stages.lap("commit")

    def begin(self, start: Position, kind: Kind = "ckpt") -> None:
        """Commit a position before anything is read from it, so that it stays the beginning.

        As an anchor where the pipeline holds something already that a run may go back to.
        """
        self.parts.anchors.begin(start)
        self._commit(start, kind)
        self.parts.checkpoints.wait()

    def take(self, arrived: Batch) -> None:
        """The loop: one batch, from its arrival to what it taught; nothing is committed."""
        parts, stages = self.parts, self.stages
        stages.lap("read")
        batch = parts.contexts.read(arrived)  # of what requests carried, what was declared
        batch = parts.joiner.gather(batch)  # a click that overtook its list waits for it
        batch = parts.contexts.without_repeats(batch)  # delivered twice is clicked once
        queries = parts.contexts.prepare(batch)  # no answer in them: nobody can peek
        stages.lap("context")
        predictions = parts.panel.predict(queries)  # weights as before the batch
        stages.lap("predict")
        joined = parts.joiner.join(batch, queries, predictions)
        outcomes = replace(joined, steps=parts.panel.steps, serving=parts.panel.serving)
        metrics = parts.evaluator.update(outcomes)  # judged as served
        moment = self._count(batch, arrived)
        for record in metrics:  # what durations in events are counted in
            record["events_taken_in"] = moment.n_events
        notices = parts.alerts.step(parts.evaluator, moment)
        if ordered := _ordered_rules(arrived):
            notices += parts.alerts.reload(ordered, moment)
        stages.lap("judge")
        parts.panel.learn(outcomes)  # the answers reach the weights only now
        stages.lap("learn")
        changes = parts.contexts.advance(batch)  # only now do catalogue and histories move
        parts.panel.follow(changes)
        parts.joiner.follow(changes)
        parts.evaluator.follow(changes)
        parts.anchors.keep_for(notices, moment)  # what they came of is not thrown away yet
        reactions = parts.reactor.react(
            notices, moment, parts.panel, parts.anchors, parts.evaluator
        )
        if ordered:
            parts.reactor.reload(ordered.reactions, ordered.rules)
        parts.outputs.write(batch, metrics, notices, reactions)
        announce(notices, reactions)
        stages.lap("advance")

    def commit_if_due(self, end: Position) -> None:
        """Commit what was done up to a position, if it is time for that."""
        if kind := self._due():
            self._commit(end, kind)
            self.stages.lap("commit")

    def close(self) -> None:
        """Close the outputs; what was committed is on disk already."""
        self.parts.outputs.close()

    def stop(self) -> None:
        """End the run after the batch in hand."""
        self._is_stopped = True

    def checkpoint_soon(self) -> None:
        """Take a recovery point after the batch in hand."""
        self._wants_checkpoint = True

    @property
    def n_events(self) -> int:
        """Events taken in since the stream began, over all resumed runs."""
        return self._n_events

    @property
    def next_seq(self) -> int:
        """The number of the batch to come."""
        return self._next_seq

    @property
    def watermark_ms(self) -> int:
        """The event time so far."""
        return self._watermark_ms

    @property
    def n_records(self) -> int:
        """Records taken in, good and bad."""
        return self._n_records

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    @property
    def dead_letter_counts(self) -> dict[str, int]:
        """Dead letters by reason."""
        return self.parts.outputs.dead_letter_counts

    def metrics(self) -> Record:
        """The present state of all metrics."""
        return self.parts.evaluator.metrics()

    def alerts(self) -> Record:
        """What each alert rule came to, by name."""
        return self.parts.alerts.states()

    def take_over(self, state: State) -> None:
        """Begin with what another run had learned by then: its tables and its learners.

        How far it had read, its metrics, its alerts and what waited in it are left behind.

        Raises
        ------
        CheckpointError
            If the other run has not all of the learners.
        """
        for name, table in self.parts.tables.items():
            table.load_state_dict(state["tables"][name])
        self.parts.panel.take_over(state["panel"])
        self.parts.evaluator.follow(self.parts.contexts.everything())

    def state_dict(self) -> State:
        parts = self.parts
        return {
            "schema_version": 1,
            "next_seq": self._next_seq,
            "n_records": self._n_records,
            "n_events": self._n_events,
            "watermark_ms": self._watermark_ms,
            "tables": {name: table.state_dict() for name, table in parts.tables.items()},
            "panel": parts.panel.state_dict(),
            "joiner": parts.joiner.state_dict(),
            "evaluator": parts.evaluator.state_dict(),
            "alerts": parts.alerts.state_dict(),
            "reactor": parts.reactor.state_dict(),
            "anchors": parts.anchors.state_dict(),
            "outputs": parts.outputs.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        parts = self.parts
        self._next_seq = state["next_seq"]
        self._n_records = state["n_records"]
        self._n_events = state["n_events"]
        self._watermark_ms = state["watermark_ms"]
        self._committed_seq = self._next_seq
        for name, table in parts.tables.items():
            table.load_state_dict(state["tables"][name])
        parts.panel.load_state_dict(state["panel"])
        parts.joiner.load_state_dict(state["joiner"])
        parts.evaluator.load_state_dict(state["evaluator"])
        parts.alerts.load_state_dict(state["alerts"])
        parts.reactor.load_state_dict(state["reactor"])
        parts.anchors.load_state_dict(state["anchors"])
        parts.outputs.load_state_dict(state["outputs"])

    def _count(self, batch: Batch, arrived: Batch) -> Moment:
        """Move past a batch. Events are counted as they arrived: one that waits is counted once."""
        self._next_seq = batch.seq + 1
        self._n_records += batch.n_records
        n_refused = len(batch.dead_letters) - len(arrived.dead_letters)
        n_arrived = len(arrived.clicks) + len(arrived.impressions) + len(arrived.others)
        self._n_events += n_arrived - n_refused
        self._watermark_ms = batch.watermark_ms
        return Moment(
            seq=batch.seq,
            watermark_ms=batch.watermark_ms,
            n_events=self._n_events,
            end=batch.end,
            anchor=self.parts.anchors.newest,
            is_backlog=batch.is_backlog,
            start=self.parts.anchors.start,
        )

    def _due(self) -> Kind | None:
        """What is to be committed now, if anything happened since the last commit."""
        kind = self.parts.checkpoints.due(self._n_events)
        if self._wants_checkpoint:
            self._wants_checkpoint = False
            kind = kind or "ckpt"
            LOGGER.info(
                "a checkpoint was asked for: %s",
                f"it holds all before batch {self._next_seq}"
                if self._next_seq != self._committed_seq
                else "the last one holds everything, nothing came since",
            )
        return kind if self._next_seq != self._committed_seq else None

    def _commit(self, end: Position, kind: Kind) -> None:
        """Make everything up to `end` durable; killed at any step, a resume loses nothing."""
        parts = self.parts
        if kind == "anchor":
            parts.anchors.taken(self._next_seq, self._watermark_ms, end)
        parts.checkpoints.spare(parts.anchors.spared(self._watermark_ms))
        parts.outputs.flush()  # 1. rows out, keyed by position: a resume cuts back what is newer
        parts.checkpoints.save(  # 2. state and position, one atomic rename
            self.state_dict(), position=end, seq=self._next_seq, events=self._n_events, kind=kind
        )
        self._acknowledge()  # 3. advisory: for lag dashboards, never read back
        self._handed_over = end
        self._committed_seq = self._next_seq

    def _acknowledge(self) -> None:
        """Tell the source of the newest position that is surely on disk.

        `save` returns when the write before it is done, so this is one commit behind until the
        run ends.
        """
        if self._handed_over is not None:
            self.parts.source.acknowledge(self._handed_over)


def _ordered_rules(batch: Batch) -> AlertsConfig | None:
    """The alert rules that an operator wants from now on; the last ones, if there are several."""
    ordered = [command["alerts"] for command in batch.commands if "alerts" in command]
    return AlertsConfig.model_validate(ordered[-1]) if ordered else None


OnBatch = Callable[[Batch | None, Pipeline], None]
"""Called after each batch (None: there was none), with the pipeline as it then stands."""
