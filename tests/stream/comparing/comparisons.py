"""Comparisons on small streams."""

from pathlib import Path

from stream.comparing.comparison import Comparison, ComparisonJob
from stream.comparing.result import Named, comparison_record
from stream.config import FreshrankConfig
from stream.sources.file import FileSource
from stream.values import Record
from tests.runs import small_config

NAMED = Named("a.yaml", "b.yaml")


def lone(champion: str = "transformer", **changes: object) -> FreshrankConfig:
    """Small settings of one learner."""
    return small_config(champion=champion, shadows=(), **changes)


def compared(
    path: Path, a: FreshrankConfig, b: FreshrankConfig, seeds: tuple[int, ...] = (), on_batch=None
) -> tuple[Comparison, ComparisonJob]:
    """Both over a file, to its end or to where `on_batch` stops them."""
    job = ComparisonJob(a, b, seeds)
    comparison = Comparison(job, FileSource(a.source, [str(path)], a.batch), on_batch)
    comparison.run()
    return comparison, job


def record_of(path: Path, a: FreshrankConfig, b: FreshrankConfig, **more: object) -> Record:
    comparison, job = compared(path, a, b, **more)
    return comparison_record(job, NAMED, comparison)


def without_cost(record: Record) -> Record:
    return {key: value for key, value in record.items() if key != "cost"}


def small_record(**changes: object) -> Record:
    """What a comparison of two methods might have come to, written by hand."""

    def figure(a: float, b: float, half: float, better: str | None, **more: object) -> Record:
        return {
            "samples": 5000,
            "a": a,
            "b": b,
            "difference": b - a,
            "interval": [b - a - half, b - a + half],
            "better": better,
            "lower_is_better": False,
            "more_events": 0 if better else 123_456,
            "halves": [
                {"samples": 2500, "difference": b - a, "interval": [-0.1, 0.1], "better": None}
            ]
            * 2,
            "by_seed": [{"difference": b - a, "interval": [b - a - half, b - a + half]}] * 2,
            **more,
        }

    stretches = {
        "events": [4000, 8000, 12_000],
        "watermark_ms": [1_704_067_200_000 + n * 3_600_000 for n in range(3)],
        "samples": [2000, 2000, 1000],
        "a": [0.2, 0.3, 0.3],
        "b": [0.2, 0.35, 0.4],
        "difference": [0.0, 0.05, 0.1],
        "difference_since_start": [0.0, 0.025, 0.04],
        "interval_since_start": [[-0.1, 0.1], [-0.02, 0.07], [0.01, 0.07]],
    }
    cost = {
        "events": 12_000,
        "cpu_s": 4.0,
        "wall_s": 4.5,
        "state_bytes": 2_000_000,
        "stage_cpu_s": {"predict": 1.0, "learn": 2.0, "judge": 1.0},
        "learner_cpu_s": 3.0,
        "events_per_cpu_s": 3000.0,
        "learner_events_per_cpu_s": 4000.0,
    }
    return {
        "a": {"name": "a.yaml", "champion": "item_knn"},
        "b": {"name": "b.yaml", "champion": "blend"},
        "settings": [{"key": "champion", "a": "item_knn", "b": "blend"}],
        "seeds": None,
        "is_stopped": False,
        "events": 12_000,
        "records": 12_003,
        "watermark_ms": 1_704_074_400_000,
        "dead_letters": {"unknown type …": 3},
        "unpaired": 0,
        "headline": "recall@20",
        "metrics": {
            "recall@1": figure(0.1, 0.101, 0.01, None),
            "recall@20": figure(0.30, 0.34, 0.02, "b"),
            "mrr@1": figure(0.1, 0.101, 0.01, None),
            "mrr@20": figure(0.2, 0.2, 0.01, None, more_events=None),
            "log_loss": figure(0.2, 0.3, 0.01, "a", lower_is_better=True),
        },
        "others": {"auc": {"a": 0.7, "b": 0.71, "difference": 0.01}},
        "stretches": {"recall@20": stretches, "log_loss": stretches},
        "cost": {"a": cost, "b": cost | {"events_per_cpu_s": 1500.0}, "peak_process_bytes": 10**9},
        **changes,
    }
