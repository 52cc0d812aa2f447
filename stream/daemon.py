"""The daemon: the loop behind Kafka, for as long as it is let run.

The loop is that of a replay. Around it stand what the wall clock asks for: signals, the watch, the
answers over HTTP, the service manager. All of that goes on in other threads, or between two
batches; none of it reaches a metric, a weight or an alert but through the journal.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig, judged
from stream.delivery.deliveries import Deliveries
from stream.errors import CheckpointError, ConfigError
from stream.journal import JOURNAL_FOLDER, Journal
from stream.kafka.cluster.connection import SOURCE_CONNECTION
from stream.kafka.sink import KafkaSink
from stream.kafka.source import KafkaSource
from stream.kafka.writing.messages import Destination, dead_letter_message, record_message
from stream.live.health import Answers, HealthServer
from stream.live.incidents import Incidents, IncidentSink
from stream.live.logs import adopt_loggers, set_level
from stream.live.memory import FreedMemory
from stream.live.rounds import Rounds
from stream.live.stuck import Heartbeat
from stream.live.supervisor import Supervisor
from stream.live.watch import Watch
from stream.notices import Incident
from stream.open_run import OpenRun, Telling
from stream.pipeline import Pipeline
from stream.repeating import changes_text, reading_settings, refuse_other_settings
from stream.run_folder import (
    alone_in,
    differing_keys,
    holds_run,
    load_newest,
    refuse_earlier_run,
    run_id_of,
    write_config,
    write_summary,
)
from stream.settings import read_settings
from stream.starts import Start, note_start
from stream.taking_over import take_over
from stream.values import Batch, Command, Position, Record

LOGGER = logging.getLogger("freshrank.daemon")

INCIDENTS_FILE = "incidents.jsonl"

# What a reload puts in force at once.
_NOW = ("alerts", "log.level")


@dataclass(frozen=True, slots=True)
class DaemonJob:
    """What to run, and where.

    `config` must have come through `resolved`; `path` and `overrides` are where it was read from,
    to be read again on request. `out` is gone on with where it holds a run already.
    """

    config: FreshrankConfig
    path: Path
    overrides: Sequence[str]
    out: Path


class Daemon:
    """One process of a live run.

    `stop`, `reload` and `checkpoint_soon` may be called from signal handlers.

    Parameters
    ----------
    job : DaemonJob
        What to run.
    environment : mapping
        What a service manager says of itself.

    Raises
    ------
    ConfigError
        If the settings name no topics.
    """

    def __init__(self, job: DaemonJob, environment: Mapping[str, str] = os.environ) -> None:
        if job.config.source.kafka is None:
            raise ConfigError(
                f"{job.path}: source.kafka is not set, and a daemon reads topics; write for "
                "example source: {kafka: {connection: {bootstrap: 'localhost:9092'}, "
                "topics: [events]}}, or replay files with freshrank replay"
            )
        self._job = job
        self._kafka = job.config.source.kafka
        self._supervisor = Supervisor(environment)
        self._run: OpenRun | None = None
        self._wants_stop = self._wants_reload = False
        self._telling = Telling()

    def run(self) -> Record:
        """Open the folder, run until stopped, leave everything on disk; the summary.

        Raises
        ------
        FreshrankError
            If the folder is in use or damaged, Kafka refuses, records were lost, or the disk is
            full. What was committed stays whole: run again to go on.
        """
        with ExitStack() as stack:
            run = self._run = self._opened(stack)
            self._look_after(run, stack)
            start = self._loaded(run)
            self._supervisor.ready()
            if start is None and (start := self._first_position(run)) is not None:
                run.pipeline.begin(start, "anchor" if self._job.config.start_from else "ckpt")
            LOGGER.info(
                "%s: batch %d is next, after %s events",
                self._job.out,
                run.pipeline.next_seq,
                f"{run.pipeline.n_events:,}",
            )
            n_before, began_s = run.pipeline.n_events, time.perf_counter()
            if start is not None and not self._wants_stop:
                run.pipeline.run(start)
            self._supervisor.stopping()
            n_events, seconds = run.pipeline.n_events - n_before, time.perf_counter() - began_s
            folder = run.checkpoints.folder
            summary = write_summary(run.pipeline, self._job.out, folder, n_events, seconds)
        LOGGER.info(
            "stopped in good order: %s events since this start, %s in all; run again to go on, or "
            "look at it: freshrank report %s",
            f"{n_events:,}",
            f"{summary['events']:,}",
            self._job.out,
        )
        return summary

    def stop(self) -> None:
        """End after the batch in hand."""
        self._wants_stop = True
        if self._run is not None:
            self._run.pipeline.stop()
            for sink in self._run.sinks.values():
                sink.let_pass()

    def reload(self) -> None:
        """Read alert rules and log level again, after the batch in hand."""
        self._wants_reload = True

    def checkpoint_soon(self) -> None:
        """Take a recovery point after the batch in hand."""
        if self._run is not None:
            self._run.pipeline.checkpoint_soon()

    def _opened(self, stack: ExitStack) -> OpenRun:
        """Everything that a run holds open; the lock on its folder comes first."""
        config, out = self._job.config, self._job.out
        folder = out / config.checkpoint.dir
        stack.enter_context(alone_in(out, folder))
        is_resumed = holds_run(out)
        if not is_resumed:
            refuse_earlier_run(out, folder)
        settings = config.checkpoint.model_copy(update={"dir": folder})
        checkpoints = stack.enter_context(Checkpoints(settings, config_hash(config)))
        journal = Journal(out / JOURNAL_FOLDER, settings=reading_settings(self._kafka))
        stack.enter_context(closing(journal))
        checkpoints.keep(journal)

        def report(incident: Incident) -> None:
            incidents.report(incident)

        sinks = self._sinks(journal, report, is_resumed)
        deliveries = self._deliveries(journal, report)
        stack.enter_context(closing(deliveries))
        told: list[IncidentSink] = [deliveries.incidents]
        if (topic := sinks.get("incidents")) is not None:  # the others are the pipeline's to close
            topic.let_pass()  # its own troubles are incidents too: it must never wait for itself
            stack.enter_context(closing(topic))
            told.append(topic)
        incidents = Incidents(out / INCIDENTS_FILE, told)
        deliveries.start()
        source = KafkaSource(self._kafka, config.batch, journal, report=report)
        stack.enter_context(closing(source))
        pipeline = build_pipeline(config, source, out, checkpoints, self._turn, sinks)
        stack.enter_context(closing(pipeline))
        pipeline.parts.outputs.tell(deliveries)
        adopt_loggers()
        heart = Heartbeat(config.watch, report)
        for sink in sinks.values():
            sink.while_waiting(heart.beat)  # the loop waits for a topic, and is not stuck
        return OpenRun(
            out=out,
            checkpoints=checkpoints,
            journal=journal,
            incidents=incidents,
            source=source,
            sinks=sinks,
            deliveries=deliveries,
            pipeline=pipeline,
            heart=heart,
            watch=Watch(config.watch, time.monotonic, source.status, report),
            is_resumed=is_resumed,
        )

    def _sinks(
        self, journal: Journal, report: Callable[[Incident], None], is_resumed: bool
    ) -> dict[str, KafkaSink]:
        """The topics that outputs go to, by output."""
        kafka = self._job.config.outputs.kafka
        if kafka is None:
            return {}
        connection, setting = kafka.connection, "outputs.kafka.connection"
        if connection is None:
            connection, setting = self._kafka.connection, SOURCE_CONNECTION
        run_id = run_id_of(self._job.out)
        return {
            output: KafkaSink(
                Destination(topic, output, run_id, connection, setting),
                report,
                message=dead_letter_message if output == "dead_letters" else record_message,
                before_send=journal.sync,
                # Incidents are no part of the state, and never told twice.
                is_resumed=is_resumed and output != "incidents",
            )
            for output, topic in kafka.topics().items()
        }

    def _deliveries(self, journal: Journal, report: Callable[[Incident], None]) -> Deliveries:
        """Who is told of alerts and incidents; nobody needs an id of the run for nobody."""
        destinations, out = self._job.config.alerts.deliver, self._job.out
        run_id = run_id_of(out) if destinations else ""
        return Deliveries(destinations, out, run_id, report, before_write=journal.sync)

    def _look_after(self, run: OpenRun, stack: ExitStack) -> None:
        """Begin what the wall clock asks for, in threads of its own."""
        config = self._job.config

        def feed() -> None:
            if not run.heart.is_stuck:
                self._supervisor.feed()

        every_s = config.watch.every / 1000
        if self._supervisor.watchdog_s is not None:
            every_s = min(every_s, self._supervisor.watchdog_s / 4)
        rounds = Rounds(every_s, [run.watch.step, run.heart.step, feed, FreedMemory().step])
        stack.enter_context(closing(rounds))
        rounds.start()
        if config.server.port is not None:
            answers = Answers(
                problem=lambda: _problem(run.heart, rounds),
                reasons_to_wait=run.reasons_to_wait,
                status=run.status,
            )
            server = HealthServer(config.server, answers)
            stack.enter_context(closing(server))
            server.start()

    def _loaded(self, run: OpenRun) -> Position | None:
        """The position to read on from, with the state that belongs to it; None at the beginning.

        Raises
        ------
        CheckpointError
            If no checkpoint is there, and the journal tells that there were some; or if batches
            are to be repeated that were read under other settings; or if the run that `start_from`
            names cannot be begun with.
        """
        config, out = self._job.config, self._job.out
        start, warnings = None, list[str]()
        if run.is_resumed:
            start, warnings = load_newest(config, out, run.checkpoints, run.pipeline)
        if start is None and run.journal.next_seq is not None:
            raise CheckpointError(
                f"{run.checkpoints.folder}: holds no checkpoint, but the run in {out} took some; "
                "put them back, set checkpoint.dir to where they are, or start in another --out"
            )
        self._compare_settings(run)
        if start is None:
            take_over(config, run.pipeline)
        for warning in warnings:
            run.incidents.report(Incident("checkpoint", "newest", warning))
        write_config(config, out)
        note_start(out, Start(str(Path.cwd())))
        run.heart.beat()
        if run.rules_in_force() != _rules(config):
            run.source.order(_rules(config))
        return start

    def _compare_settings(self, run: OpenRun) -> None:
        """Refuse what would repeat batches otherwise; tell what is read otherwise from now on."""
        now, next_seq = reading_settings(self._kafka), run.pipeline.next_seq
        refuse_other_settings(run.journal.entries(next_seq), now, run.out)
        if text := changes_text(run.journal.last_settings, now):
            LOGGER.info("%s: from batch %d on, %s", run.out, next_seq, text)

    def _first_position(self, run: OpenRun) -> Position | None:
        """Where `source.kafka.start` says to begin; None if it is to stop before that is known."""

        def is_stopped() -> bool:
            run.heart.beat()
            if self._wants_reload:
                self._reload(run)
            return self._wants_stop

        return run.source.starting_position(is_stopped)

    def _turn(self, _batch: Batch | None, _pipeline: Pipeline) -> None:
        """Between two batches, and several times a second while there are none."""
        run = self._run
        assert run is not None, "the loop runs after everything is open"
        run.heart.beat()
        for sink in run.sinks.values():
            sink.flush()  # a topic that refuses ends the run, though nothing is written to it
        if self._wants_reload:
            self._reload(run)
        if text := self._telling.due(run):
            LOGGER.info("%s", text)
            self._supervisor.status(text)

    def _reload(self, run: OpenRun) -> None:
        """Put in force what may change while it runs; name what may not."""
        self._wants_reload = False
        self._supervisor.reloading()
        job = self._job
        try:
            config = read_settings(FreshrankConfig, job.path, job.overrides)
        except ConfigError as err:
            LOGGER.error("%s: not read again, everything stays as it was: %s", job.path, err)
        else:
            set_level(config.log.level)
            changed = differing_keys(
                job.config.model_dump(mode="json"),
                config.model_copy(
                    update={"threads": config.threads or job.config.threads}
                ).model_dump(mode="json"),
            )
            if _rules(config) != _rules(job.config):
                run.source.order(_rules(config))
            later = [key for key in changed if key == "alerts.deliver" or not key.startswith(_NOW)]
            now = [key for key in changed if key not in later]
            LOGGER.info(
                "%s: read again; %s%s",
                job.path,
                f"in force now: {', '.join(now)}" if now else "nothing new is in force",
                f"; in force after a restart only: {', '.join(later)}" if later else "",
            )
            alerts = config.alerts.model_copy(update={"deliver": job.config.alerts.deliver})
            kept = {"alerts": alerts, "log": config.log}
            self._job = replace(job, config=job.config.model_copy(update=kept))
            write_config(self._job.config, job.out)
        self._supervisor.ready()


def _problem(heart: Heartbeat, rounds: Rounds) -> str | None:
    """Why the process should be restarted."""
    if heart.is_stuck:
        return "the loop does not come round"
    return None if rounds.is_alive else "the watch has ended; the log says why"


def _rules(config: FreshrankConfig) -> Command:
    """The order that puts the rules of these settings in force."""
    return {"alerts": judged(config.alerts).model_dump(mode="json")}
