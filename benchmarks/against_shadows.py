"""Who is better than a shadow, asked after every batch: errors stay below 5 %, users or not.

Differences of hits are drawn: the champion hits and the shadow does not, or the other way round. A
run is an error if its interval left out the truth at any look, 256 samples apart: the confidence
sequence of `evaluators.confidence_sequence`, and an ordinary interval of 1.96 standard errors.

Then users are drawn who each lean to one of the two, and click more than once. The truth is what
all users would do, of whom few were seen: intervals that count clicks are too narrow for it, and
the bootstrap by user is not. Last, what all this costs a loop with shadows and no model.

    python -m benchmarks.against_shadows [--runs 1000]
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.datasets import event_file
from benchmarks.replay import settings_of
from benchmarks.stopwatch import Stopwatch
from evaluators import ranking_judge
from evaluators.confidence import share_interval
from evaluators.confidence_sequence import sum_margin
from evaluators.ranking import figure_weights
from evaluators.user_bootstrap import BootstrapConfig, UserBootstrap
from evaluators.worse_than import WorseThan
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.sources.file import FileSource
from stream.values import Float64s, Int64s

ALPHA = 0.05
BATCH = 256
RECALL_FR = figure_weights((1,))[:1]
RULE = "{name: a, kind: worse_than, metric: recall@20, shadow: popularity}"
TIMED = (
    (UserBootstrap, "update", "bootstrap by user"),
    (UserBootstrap, "add_intervals", "bootstrap by user"),
    (ranking_judge, "mean_margin", "sequence"),
    (WorseThan, "feed", "a rule"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--timed", type=int, default=3)
    arguments = parser.parse_args()
    _print_looks(arguments.runs)
    _print_power(arguments.runs)
    _print_users(arguments.runs)
    _print_cost(arguments.timed)


def _print_looks(n_runs: int) -> None:
    """Errors of 100,000 samples with a look every 256."""
    print(f"{n_runs} runs of 100,000 samples, a look every {BATCH}: share of runs that ever erred")
    print(f"{'ahead':>6} {'behind':>6}  {'sequence':>9} {'95 %':>15}   {'1.96 at each':>12} last")
    for ahead, behind in ((0.1, 0.1), (0.06, 0.04), (0.01, 0.01), (0.001, 0.001), (0.5, 0.2)):
        rng = np.random.default_rng(7)
        errors = np.zeros(3)
        for _ in range(n_runs):
            looks = _Looks(_hits(rng, ahead, behind, 100_000))
            off_L = np.abs(looks.mean_L - (ahead - behind))
            is_out_L = off_L > looks.margins()
            is_out_of_normal_L = off_L > looks.normal_margins()
            errors += is_out_L.any(), is_out_of_normal_L.any(), is_out_of_normal_L[-1]
        ever, normal, at_end = errors / n_runs
        print(
            f"{ahead:6} {behind:6}  {ever:9.3f} {_interval(errors[0], n_runs):>15}   "
            f"{normal:12.3f} {at_end:.3f}"
        )


def _print_power(n_runs: int) -> None:
    """Samples up to a verdict that the champion is ahead, where it is."""
    print(f"\n{n_runs} runs, 10 % of clicks differ: samples up to a verdict (median, 90 %)")
    print(f"{'lead':>6}  {'sequence':>17}  one look planned for 90 %")
    for lead in (0.04, 0.02, 0.01):
        rng = np.random.default_rng(11)
        longest = round(60 * 0.1 / lead**2 / BATCH) * BATCH
        needed = []
        for _ in range(n_runs):
            looks = _Looks(_hits(rng, 0.05 + lead / 2, 0.05 - lead / 2, longest))
            is_sure_L = looks.mean_L > looks.margins()
            needed.append(looks.n_L[is_sure_L.argmax()] if is_sure_L.any() else np.inf)
        planned = (1.96 + 1.2816) ** 2 * (0.1 - lead**2) / lead**2
        half, most = np.quantile(needed, [0.5, 0.9])
        print(f"{lead:6} {half:9,.0f} {most:8,.0f}  {planned:9,.0f}")


def _print_users(n_runs: int) -> None:
    """Errors against what all users would do, at one look after 20,000 clicks."""
    n_runs = min(n_runs, 500)
    print(
        f"\n{n_runs} runs of 20,000 clicks of users who lean: share of runs that erred at the end"
    )
    print(
        f"{'clicks a user':>13} {'users':>7}  {'sequence':>9} {'1.96 errors':>11} "
        f"{'by user':>8} {'95 %':>15}"
    )
    for clicks in (1, 4, 20, 100):
        rng = np.random.default_rng(13)
        errors = np.zeros(3)
        for _ in range(n_runs):
            user_N, rank_2N = _leaning(rng, 20_000, 20_000 // clicks)
            difference_N = (rank_2N[0] - rank_2N[1]).astype(np.float64)
            looks = _Looks(difference_N)
            off = abs(difference_N.mean())
            bootstrap = UserBootstrap(BootstrapConfig(), 2, RECALL_FR)
            bootstrap.update(rank_2N, user_N)
            ends_SF2 = bootstrap.intervals(ALPHA)
            assert ends_SF2 is not None, "there are users enough"
            low, high = ends_SF2[0, 0].tolist()
            errors += (
                off > looks.margins()[-1],
                off > looks.normal_margins()[-1],
                not low <= 0.0 <= high,
            )
        sequence, normal, by_user = errors / n_runs
        print(
            f"{clicks:13} {20_000 // clicks:7,}  {sequence:9.3f} {normal:11.3f} {by_user:8.3f} "
            f"{_interval(errors[2], n_runs):>15}"
        )


def _print_cost(n_runs: int) -> None:
    """What the loop over ml-100k spends on it, with learners that cost next to nothing."""
    for shadows in ("popularity", "popularity,item_knn,session_knn"):
        per_event: dict[str, list[float]] = {}
        for _ in range(n_runs):
            for part, spent_us in _spent(shadows).items():
                per_event.setdefault(part, []).append(spent_us)
        told = {part: statistics.median(spent) for part, spent in per_event.items()}
        loop_us = told.pop("loop")
        parts = (f"{part} {spent:.2f} us ({spent / loop_us:.1%})" for part, spent in told.items())
        print(
            f"\nml-100k, no model, shadows {shadows}: {loop_us:.1f} us an event; {', '.join(parts)}"
        )


def _spent(shadows: str) -> dict[str, float]:
    """Microseconds an event, of the thread that the loop runs in."""
    told = [
        "champion=counting",
        f"shadows=[{shadows}]",
        "batch.events=256",
        f"alerts.rules=[{RULE}]",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = settings_of("ml-100k", folder, told)
        source = FileSource(config.source, [str(event_file("ml-100k", folder))], config.batch)
        dirs = config.checkpoint.model_copy(update={"dir": folder / "checkpoints"})
        with Checkpoints(dirs, config_hash(config)) as checkpoints:
            pipeline = build_pipeline(config, source, folder, checkpoints)
            watch = Stopwatch(time.thread_time)
            with ExitStack() as lent:
                for owner, method, part in TIMED:
                    lent.enter_context(watch.lent(owner, method, part))
                lent.enter_context(watch.part("loop"))
                pipeline.run()
            pipeline.close()
    n_events = pipeline.n_events
    return {path[-1]: seconds / n_events * 1e6 for path, seconds in watch.seconds.items()}


class _Looks:
    """Running moments at every look."""

    def __init__(self, difference_N: Float64s) -> None:
        self.n_L = np.arange(BATCH, len(difference_N) + 1, BATCH)
        self.mean_L = difference_N.cumsum()[self.n_L - 1] / self.n_L
        self._square_L = (difference_N**2).cumsum()[self.n_L - 1]

    def margins(self) -> Float64s:
        return sum_margin(self._square_L, ALPHA) / self.n_L

    def normal_margins(self) -> Float64s:
        variance_L = self._square_L / self.n_L - self.mean_L**2
        return 1.96 * np.sqrt(variance_L / self.n_L)


def _hits(rng: np.random.Generator, ahead: float, behind: float, n: int) -> Float64s:
    """1 where only the champion hits, -1 where only the shadow does, else 0."""
    draw_N = rng.random(n)
    return (draw_N < ahead).astype(np.float64) - (draw_N > 1 - behind)


def _leaning(rng: np.random.Generator, n: int, n_users: int) -> tuple[Int64s, Int64s]:
    """Who clicked, and whether champion and shadow hit; half of the users lean to each."""
    hash_U = rng.integers(-(2**63), 2**63 - 1, n_users)
    lean_U = rng.beta(1.0, 1.0, n_users)
    user_N = rng.integers(0, n_users, n)
    differs_N = rng.random(n) < 0.1
    is_ahead_N = rng.random(n) < lean_U[user_N]
    rank_2N = np.stack((differs_N & is_ahead_N, differs_N & ~is_ahead_N)).astype(np.int64)
    return hash_U[user_N], rank_2N


def _interval(n_errors: float, n_runs: int) -> str:
    low, high = share_interval(round(n_errors), n_runs)
    return f"[{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
