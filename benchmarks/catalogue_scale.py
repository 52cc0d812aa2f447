"""Learning an event costs hardly more at a million items than at ten thousand.

Random clicks, evenly over the catalogue, from histories of up to 20 items: learned by the default
transformer in batches, and predicted. Each size runs in a process of its own, one after the other,
so that the peak of memory is its own. Times are medians of batches; before them, one is learned and
predicted untimed.

    python -m benchmarks.catalogue_scale [--items 10000 100000 1000000] [--batches 4] [--threads 2]

# B clicks of a batch, T history length, V items
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.values import Changes, Contexts, Lessons, Outcomes, Queries

BATCH_CLICKS = 256
LONGEST_HISTORY = 20
TARGET_RATIO = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="measure one size in this process")
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measured(arguments.items[0], arguments.batches, arguments.threads)))
        return
    print(
        "| items | learn, ms an event | ratio | predict, ms an event | ratio | peak memory, MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    first: dict[str, float] = {}
    for n_items in arguments.items:
        command = [sys.executable, "-m", "benchmarks.catalogue_scale", "--alone"]
        command += ["--items", str(n_items), "--batches", str(arguments.batches)]
        command += ["--threads", str(arguments.threads)]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        first = first or figures
        learn, predict = (figures[name] / first[name] for name in ("learn_ms", "predict_ms"))
        print(
            f"| {n_items:,} | {figures['learn_ms']:.2f} | {learn:.2f} | "
            f"{figures['predict_ms']:.2f} | {predict:.2f} | {figures['peak_mib']:,.0f} |",
            flush=True,
        )
    verdict = "met" if learn <= TARGET_RATIO else "missed"
    print(f"\nTarget: learning at {n_items:,} within {TARGET_RATIO} of the first: {verdict}.")


def measured(n_items: int, n_batches: int, n_threads: int) -> dict[str, float]:
    torch.set_num_threads(n_threads)
    learner = TransformerLearner(TransformerConfig(device="cpu"))
    none = np.zeros(0, np.int32)
    learner.follow(Changes(n_items, none, none.astype(np.int64), {}))
    rng = np.random.default_rng(0)
    tie_hash_V = rng.integers(0, 2**32, n_items, np.uint32)
    learn_s, predict_s = [], []
    for _ in range(n_batches + 1):
        queries, outcomes = batch(rng, n_items, tie_hash_V)
        started_s = time.perf_counter()
        learner.predict(queries)
        predicted_s = time.perf_counter()
        learner.learn(outcomes)
        learner.follow(Changes(n_items, none, none.astype(np.int64), {}))
        learn_s.append(time.perf_counter() - predicted_s)
        predict_s.append(predicted_s - started_s)
    return {
        "learn_ms": 1_000 * statistics.median(learn_s[1:]) / BATCH_CLICKS,
        "predict_ms": 1_000 * statistics.median(predict_s[1:]) / BATCH_CLICKS,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def batch(
    rng: np.random.Generator, n_items: int, tie_hash_V: np.ndarray
) -> tuple[Queries, Outcomes]:
    """Clicks, each with a context of its own, as questions and as lessons."""
    length_B = rng.integers(0, LONGEST_HISTORY + 1, BATCH_CLICKS).astype(np.int32)
    history_BT = rng.integers(0, n_items, (BATCH_CLICKS, LONGEST_HISTORY)).astype(np.int32)
    history_BT[np.arange(LONGEST_HISTORY) >= length_B[:, None]] = -1
    contexts = Contexts(history_BT, length_B)
    number_B = np.arange(BATCH_CLICKS, dtype=np.int32)
    zeros_B = np.zeros(BATCH_CLICKS, np.int64)
    target_B = rng.integers(0, n_items, BATCH_CLICKS).astype(np.int32)
    queries = Queries(contexts, number_B, zeros_B, zeros_B, length_B, n_items, tie_hash_V, k=20)
    lessons = Lessons(
        contexts, number_B, target_B, zeros_B, number_B.astype(np.int64), zeros_B, length_B
    )
    is_sample_B = np.ones(BATCH_CLICKS, np.bool_)
    return queries, Outcomes(0, 0, queries, {}, target_B, is_sample_B, lessons)


if __name__ == "__main__":
    main()
