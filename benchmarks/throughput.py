"""Learning costs what its arithmetic costs: the loop against a bare torch loop, stage by stage.

On the first clicks of ml-100k, in batches of 256: events a second of the whole loop with the
transformer alone, with the blend and all shadows, and of the bare torch loop of
`benchmarks.replay`, which does the transformer's forward, top-k, backward and step on tensors made
beforehand. The three are timed in turn, and ratios are taken turn by turn: with one thread on a CPU
by what the process worked, because others share the machine, else by the clock. Then, of the blend,
the share of each stage; and the floating-point operations of the training steps (matrix products
and attention, paddings included, counted by torch) over the time that the steps took, against the
fastest large matrix product of the same machine in the same run: fp32 on a CPU, bf16 on CUDA.

    python -m benchmarks.throughput [--events 8000] [--turns 3] [--device cpu] [--threads 1]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.datasets import event_file
from benchmarks.replay import record, run_bare, run_pipeline, settings_of
from benchmarks.stopwatch import Stopwatch
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.sources.file import FileSource

TRANSFORMER = ("champion=transformer", "shadows=[]")
BLEND = ("champion=blend",)
WITHOUT_CUDA = """\
No CUDA device is at hand. With one this prints what it prints on a CPU, the learner and the bare
loop in bf16 on the device: events/s of both loops against the bare one; the share of each stage,
the device's queue emptied at both ends of a stage; GFLOP of a training step, and which share of the
device's peak, that of a bf16 matrix product of 8,192 x 8,192, the steps reach."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=8_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(WITHOUT_CUDA)
        return
    common = [
        f"source.limit={arguments.events}",
        f"threads={arguments.threads}",
        f"learner.device={arguments.device}",
        "batch.events=256",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = event_file("ml-100k", folder)
        configs = {
            "transformer": settings_of("ml-100k", folder, [*TRANSFORMER, *common]),
            "blend": settings_of("ml-100k", folder, [*BLEND, *common]),
        }
        print(f"ml-100k, {arguments.events:,} clicks, {_machine(arguments)}")
        loops(configs, events, folder, arguments.turns)
        train_s = shares(configs["blend"], events, folder / "shares")
        utilisation(configs["blend"], events, folder / "flops", train_s)


def loops(configs: dict[str, FreshrankConfig], events: Path, folder: Path, n_turns: int) -> None:
    """Events a second of each loop, and against the bare one."""
    bare_batches, n_items = record(configs["transformer"], events, folder / "recorded")
    seconds: dict[str, list[float]] = {name: [] for name in (*configs, "bare")}
    now_s = clock_of(configs["transformer"])
    for turn in range(n_turns):
        for name, config in configs.items():
            started_s = now_s()
            n_events = run_pipeline(config, events, folder / f"{name}-{turn}")
            seconds[name].append(now_s() - started_s)
        took_s = run_bare(configs["transformer"].learner, bare_batches, n_items, now_s)
        seconds["bare"].append(took_s)
    print(f"\n{'loop':20}{'events/s':>10}   of the bare torch loop, turn by turn")
    for name, took_s in seconds.items():
        ratios = [bare / own for bare, own in zip(seconds["bare"], took_s, strict=True)]
        print(
            f"{name:20}{n_events / statistics.median(took_s):10,.0f}   "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})",
            flush=True,
        )


def shares(config: FreshrankConfig, events: Path, out: Path) -> float:
    """Print the share of each stage; return the seconds of the transformer's training steps."""
    now_s = clock_of(config)
    watch = Stopwatch(now_s)
    with ExitStack() as stack:
        pipeline = stack.enter_context(opened(config, events, out))
        watched(pipeline, watch)
        stack.enter_context(watch.lent(torch.autograd, "backward", "backward"))
        stack.enter_context(watch.lent(torch.nn.utils, "clip_grad_norm_", "clip"))
        started_s = now_s()
        pipeline.run()
        total_s = now_s() - started_s
    print(f"\nthe blend and its shadows: shares of {total_s:.1f} s")
    print("\n".join(watch.lines(total_s)))
    return watch.seconds["learn", "blend", "transformer", "steps"]


def watched(pipeline: Pipeline, watch: Stopwatch) -> None:
    """Time every stage of the loop, and the blend's parts within it."""
    parts = pipeline.parts
    for owner, methods in (
        (parts.joiner, ("gather", "join")),
        (parts.contexts, ("without_repeats", "prepare", "advance")),
        (parts.panel, ("predict", "learn", "follow")),
        (parts.evaluator, ("update",)),
        (parts.alerts, ("step",)),
        (parts.outputs, ("write", "flush")),
        (parts.checkpoints, ("save",)),
    ):
        for method in methods:
            watch.around(owner, method, "evaluate" if method == "update" else method)
    learners = parts.panel._learners
    blend = learners["blend"]
    for name, learner in learners.items():
        for method in ("predict_all" if name == "blend" else "predict", "learn"):
            watch.around(learner, method, name)
    for name, part in blend._neighbours.items():
        watch.around(part, "rank", name)
        watch.around(part, "learn", name)
    transformer = blend._transformer
    for method, name in (("score", "transformer"), ("learn", "transformer"), ("_step", "steps")):
        watch.around(transformer, method, name)
    watch.around(transformer, "_loss", "forward")
    watch.around(transformer._finetuner._optimizer, "step", "optimizer")
    watch.around(transformer._served, "update", "average")
    watch.around(blend._reranker, "scores", "network")
    watch.around(blend._reranker, "learn", "network")


def utilisation(config: FreshrankConfig, events: Path, out: Path, train_s: float) -> None:
    """Count the floating-point operations of every training step of the same run."""
    n_flops = n_steps = 0
    with opened(config, events, out) as pipeline:
        transformer = pipeline.parts.panel._learners["blend"]._transformer
        step = transformer._finetuner.step

        def counted(loss_of: Any) -> None:
            nonlocal n_flops, n_steps
            with FlopCounterMode(display=False) as counter:
                step(loss_of)
            n_flops += counter.get_total_flops()
            n_steps += 1

        transformer._finetuner.step = counted
        pipeline.run()
    n_events, peak = pipeline.n_events, peak_flops(config.learner.device, clock_of(config))
    print(
        f"\ntraining: {n_flops / n_steps / 1e9:.3f} GFLOP a step, {n_flops / n_events / 1e6:.1f} "
        f"MFLOP an event; {n_flops / train_s / 1e9:,.1f} GFLOP/s in the steps, "
        f"{n_flops / train_s / peak:.1%} of the {peak / 1e9:,.1f} of a matrix product"
    )


@contextmanager
def opened(config: FreshrankConfig, events: Path, out: Path) -> Iterator[Pipeline]:
    """A pipeline over the events, as `freshrank replay` builds it."""
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    source = FileSource(config.source, [str(events)], config.batch)
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints)
        yield pipeline
        pipeline.close()


def peak_flops(device: str, now_s: Callable[[], float], repeats: int = 7) -> float:
    """Operations a second of the fastest of some large matrix products."""
    size, dtype = (8_192, torch.bfloat16) if device == "cuda" else (1_024, torch.float32)
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest_s = float("inf")
    for _ in range(repeats):
        started_s = now_s()
        left @ right
        fastest_s = min(fastest_s, now_s() - started_s)
    return 2 * size**3 / fastest_s


def clock_of(config: FreshrankConfig) -> Callable[[], float]:
    """What a run is timed by, in seconds; on CUDA it waits for all that was asked for."""
    if config.learner.device != "cuda":
        return time.process_time if config.threads == 1 else time.perf_counter

    def now_s() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return now_s


def _machine(arguments: argparse.Namespace) -> str:
    if arguments.device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {arguments.threads} threads"


if __name__ == "__main__":
    main()
