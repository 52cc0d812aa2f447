"""What one process holds open of a live run, and what it tells of it."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stream.checkpoint import Checkpoints
from stream.delivery.deliveries import Deliveries
from stream.journal import Journal
from stream.kafka.sink import KafkaSink
from stream.kafka.source import KafkaSource
from stream.live.health import reasons_to_wait
from stream.live.incidents import Incidents
from stream.live.stuck import Heartbeat
from stream.live.watch import Watch
from stream.pipeline import Pipeline
from stream.values import Command

# How often the log tells how it goes.
_TOLD_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The parts of a run; `sinks` are its topics, by output."""

    out: Path
    checkpoints: Checkpoints
    journal: Journal
    incidents: Incidents
    source: KafkaSource
    sinks: Mapping[str, KafkaSink]
    deliveries: Deliveries
    pipeline: Pipeline
    heart: Heartbeat
    watch: Watch
    is_resumed: bool
    began_s: float = field(default_factory=time.monotonic)

    def rules_in_force(self) -> Command:
        """The order of the rules that hold once the journal is repeated."""
        pipeline = self.pipeline
        rules: Command = {"alerts": pipeline.parts.alerts.config.model_dump(mode="json")}
        for entry in self.journal.entries(pipeline.next_seq):
            rules = next((c for c in reversed(entry.commands) if "alerts" in c), rules)
        return rules

    def reasons_to_wait(self) -> list[str]:
        """Why it is not ready; empty when it is. Any thread may ask."""
        waited_for = {output: sink.waited_for for output, sink in self.sinks.items()}
        return [
            *reasons_to_wait(self.source.status()),
            *(f"output {output}: {text}" for output, text in waited_for.items() if text),
        ]

    def status(self) -> dict[str, Any]:
        """What `/status` answers; any thread may ask, while the loop runs."""
        pipeline, source = self.pipeline, self.source.status()
        now_s, time_of_day_s = time.monotonic(), time.time()
        checkpoint_seq, checkpoint_s = self.checkpoints.newest or (None, None)
        arrived_s, newest_ms = source.last_arrival_s, source.newest_ts_ms
        return {
            "out": str(self.out),
            "pid": os.getpid(),
            "uptime_s": round(now_s - self.began_s, 1),
            **_versions(),
            "next_seq": pipeline.next_seq,
            "records": pipeline.n_records,
            "events": pipeline.n_events,
            "dead_letters": sum(pipeline.dead_letter_counts.values()),
            "watermark_ms": pipeline.watermark_ms,
            "watermark_age_s": _age_s(time_of_day_s, pipeline.watermark_ms / 1000),
            "newest_record_age_s": _age_s(time_of_day_s, newest_ms and newest_ms / 1000),
            "last_arrival_age_s": _age_s(now_s, arrived_s),
            "loop_silent_s": round(self.heart.silent_s, 1),
            "checkpoint_seq": checkpoint_seq,
            "checkpoint_age_s": _age_s(time_of_day_s, checkpoint_s),
            "is_connected": source.is_connected,
            "problem": source.problem,
            "reasons_to_wait": self.reasons_to_wait(),
            "lag_records": source.lag_records,
            "is_repeating": source.is_repeating,
            "is_backlog": source.is_backlog,
            "serving": pipeline.parts.panel.serving,
            "alerts_firing": pipeline.parts.alerts.firing,
            "watch_firing": self.watch.firing,
            "incidents": self.incidents.n_reported,
            "incidents_failed": self.incidents.n_failed,
            "deliveries": self.deliveries.status(),
            "sinks_pending": {output: sink.n_pending for output, sink in self.sinks.items()},
        }


class Telling:
    """How it goes, in a sentence a minute."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()
        self._told_events: int | None = None

    def due(self, run: OpenRun) -> str | None:
        """The sentence, if it is time for one."""
        pipeline, now_s = run.pipeline, time.monotonic()
        if self._told_events is None:
            self._told_events = pipeline.n_events
        passed_s = now_s - self._told_s
        if passed_s < _TOLD_EVERY_S:
            return None
        n_events = pipeline.n_events - self._told_events
        self._told_s, self._told_events = now_s, pipeline.n_events
        lag_records = run.source.status().lag_records
        lag = "unknown" if lag_records is None else f"{lag_records:,} records"
        time_text = datetime.fromtimestamp(pipeline.watermark_ms / 1000, UTC)
        return (
            f"{pipeline.n_events:,} events, {n_events / passed_s:,.0f} a second; lag {lag}; event "
            f"time {time_text:%Y-%m-%d %H:%M:%S}"
        )


@cache
def _versions() -> dict[str, str]:
    """What runs here; looked up in files, once."""
    return {
        "version": version("freshrank"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "kafka_python": version("kafka-python"),
    }


def _age_s(now_s: float, then_s: float | None) -> float | None:
    """How long ago that was; None where it never was."""
    return None if not then_s or then_s < 0 else round(now_s - then_s, 1)
