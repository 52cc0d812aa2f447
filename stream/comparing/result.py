"""What a comparison came to, as one record: for the terminal, for `--json` and for the page.

All of it but `cost` follows from the events and the settings alone.

# T stretches
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluators.paired_judge import LOWER_IS_BETTER, PairedFigure
from evaluators.paired_metrics import largest_lead
from evaluators.stretches import PairedSums
from evaluators.verdicts import difference_margin
from stream.comparing.comparison import Comparison, ComparisonJob, Cost, peak_process_bytes
from stream.comparing.pairable import compared_settings
from stream.values import Record

# Judged by each evaluator on its own: told side by side, without an interval.
UNPAIRED_FIGURES = (
    "normalized_entropy",
    "auc",
    "calibration_ratio",
    "ece",
    "predicted_ctr",
)
# Shorter ones are noise to the eye.
MAX_STRETCHES_TOLD = 64


@dataclass(frozen=True, slots=True)
class Named:
    """What the two sides are called."""

    a: str
    b: str


def comparison_record(job: ComparisonJob, named: Named, comparison: Comparison) -> Record:
    """Everything that was found out, of a pass that was stopped what was seen until then.

    `difference` is always B's figure less A's. `better` is `a` or `b` where the interval leaves
    out 0, else null, with `more_events` how many more it would take, if difference and variance
    stay as they are; null if none would do.
    """
    figures = comparison.judge.figures()
    stretches = comparison.judge.stretches()
    by_user = comparison.judge.by_user()
    return {
        "a": {"name": named.a, "champion": job.a.champion},
        "b": {"name": named.b, "champion": job.b.champion},
        "settings": [
            {"key": key, "a": in_a, "b": in_b}
            for key, in_a, in_b in compared_settings(job.a, job.b)
        ],
        "seeds": list(job.seeds) or None,
        "is_stopped": comparison.is_stopped,
        "events": comparison.n_events,
        "records": comparison.n_records,
        "watermark_ms": comparison.watermark_ms,
        "dead_letters": comparison.dead_letter_counts,
        "unpaired": comparison.judge.n_unpaired,
        "headline": f"recall@{max(job.a.ranking.ks)}",
        "metrics": {
            name: _figure_record(name, figure, stretches[name], comparison.n_events)
            | ({"interval_by_user": list(by_user[name])} if name in by_user else {})
            for name, figure in figures.items()
        },
        "others": _others(*comparison.judged()),
        "stretches": {name: _stretches_record(name, *found) for name, found in stretches.items()},
        "cost": _cost_record(*comparison.costs()),
    }


def better_side(name: str, difference: float, interval: Sequence[float]) -> str | None:
    """Who is better by a difference, B less A: `a` or `b`; None where nobody can say.

    Examples
    --------
    >>> better_side("recall@20", 0.02, (0.01, 0.03)), better_side("log_loss", 0.02, (0.01, 0.03))
    ('b', 'a')
    """
    if interval[0] <= 0 <= interval[1]:
        return None
    return "b" if (difference > 0) != (name in LOWER_IS_BETTER) else "a"


def _figure_record(
    name: str, figure: PairedFigure, found: tuple[PairedSums, int], n_events: int
) -> Record:
    more_events, needed = None, figure.needed
    if needed is not None:
        more_samples = max(needed - figure.samples, 0)
        more_events = round(more_samples * n_events / figure.samples)
    return {
        "samples": figure.samples,
        "a": figure.one,
        "b": figure.other,
        "difference": figure.difference,
        "interval": list(figure.interval),
        "better": better_side(name, figure.difference, figure.interval),
        "lower_is_better": name in LOWER_IS_BETTER,
        "more_events": 0 if figure.is_sure else more_events,
        "halves": _halves(name, *found),
        "by_seed": [
            {"difference": difference, "interval": list(interval)}
            for difference, interval in figure.by_seed
        ],
    }


def _halves(name: str, sums: PairedSums, column: int) -> list[Record]:
    """The difference in the first and in the second half of the samples; none of one stretch."""
    n_before_T = sums.samples_T.cumsum() - sums.samples_T
    cut = int(np.searchsorted(n_before_T, sums.samples_T.sum() / 2))
    if not 0 < cut < len(n_before_T):
        return []
    halves = sums.joined(np.array([0, cut]))
    told = zip(halves.samples_T.tolist(), *_differences(name, halves, column), strict=True)
    return [
        {
            "samples": n_samples,
            "difference": difference,
            "interval": interval,
            "better": better_side(name, difference, interval),
        }
        for n_samples, difference, interval in told
    ]


def _differences(name: str, sums: PairedSums, column: int) -> tuple[list[float], list[list[float]]]:
    """The mean difference of each stretch, and its interval."""
    largest = largest_lead(name)
    differences = (sums.difference_TF[:, column] / sums.samples_T).tolist()
    squares = zip(sums.samples_T.tolist(), sums.square_TF[:, column].tolist(), strict=True)
    margins = [difference_margin(n, np.array([square]), largest).item() for n, square in squares]
    pairs = zip(differences, margins, strict=True)
    return differences, [[difference - margin, difference + margin] for difference, margin in pairs]


def _stretches_record(name: str, sums: PairedSums, column: int) -> Record:
    """Columns, one entry a stretch, of 64 at most; the last two are since the start."""
    step = -(-len(sums.samples_T) // MAX_STRETCHES_TOLD)
    sums = sums.joined(np.arange(0, len(sums.samples_T), step))
    n_T = sums.samples_T
    since_start, intervals = _differences(name, sums.since_start(), column)
    return {
        "events": sums.events_T.tolist(),
        "watermark_ms": sums.end_ms_T.tolist(),
        "samples": n_T.tolist(),
        "a": (sums.one_TF[:, column] / n_T).tolist(),
        "b": (sums.other_TF[:, column] / n_T).tolist(),
        "difference": (sums.difference_TF[:, column] / n_T).tolist(),
        "difference_since_start": since_start,
        "interval_since_start": intervals,
    }


def _others(a: Sequence[Record], b: Sequence[Record]) -> Record:
    """Click figures that are no mean over samples, of each side the mean over its seeds."""
    found: Record = {}
    for name in UNPAIRED_FIGURES:
        one, other = _mean_total(a, name), _mean_total(b, name)
        if one is not None and other is not None:
            found[name] = {"a": one, "b": other, "difference": other - one}
    return found


def _mean_total(records: Sequence[Record], name: str) -> float | None:
    values = [record["metrics"].get(name, {}).get("total") for record in records]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _cost_record(a: Cost, b: Cost) -> dict[str, Any]:
    return {
        "a": _one_cost(a),
        "b": _one_cost(b),
        "peak_process_bytes": peak_process_bytes(),
    }


def _one_cost(cost: Cost) -> Record:
    learner_s = sum(cost.stage_cpu_s.get(stage, 0.0) for stage in ("predict", "learn"))
    return {
        **{key: value for key, value in asdict(cost).items() if key != "stage_cpu_s"},
        "stage_cpu_s": dict(cost.stage_cpu_s),
        "learner_cpu_s": learner_s,
        "events_per_cpu_s": cost.events / cost.cpu_s if cost.cpu_s else None,
        "learner_events_per_cpu_s": cost.events / learner_s if learner_s else None,
    }
