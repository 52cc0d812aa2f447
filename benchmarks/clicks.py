"""How good the click probabilities are: on simulated lists, beside the true probabilities.

A simulated shop shows lists by two policies; the transformer's click head learns from each list
when its answer is known (`labels: wait`), or at once and again (`eager`). Judged are the
probabilities that were given when the list was shown. The truth is what the simulator drew the
clicks from: nobody can do better than it but by luck.

    python -m benchmarks.clicks [--seeds 0 1 2] [--set key=value ...]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from stream.config import FreshrankConfig
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.shop import Shop
from stream.sources.shop_lists import shown_lists
from stream.sources.shop_walks import walked
from stream.sources.simulator import SimulatorConfig, write_simulation
from stream.values import Bools, Float64s

SETTINGS = ["champion=transformer", "shadows=[]", "threads=1", "evaluator.window_events=60000"]
FIGURES = ("ctr", "calibration_ratio", "log_loss", "normalized_entropy", "auc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    print(f"{'seed':>4} {'labels':>6} {'over':>12}", *(f"{name:>18}" for name in FIGURES))
    for seed in arguments.seeds:
        shop = SimulatorConfig(seed=seed, clicks=30_000, users=1000, items=500)
        for labels in ("wait", "eager"):
            figures = _judged(shop, [*SETTINGS, f"joiner.labels={labels}", *arguments.set])
            for window, told in (("total", "all lists"), ("events", "last 60,000")):
                values = [figures[name].get(window, float("nan")) for name in FIGURES]
                print(f"{seed:4} {labels:>6} {told:>12}", *(f"{v:18.4f}" for v in values))
        print(f"{seed:4} {'truth':>6} {'all lists':>12}", *(f"{v:18.4f}" for v in _truth(shop)))


def _judged(shop: SimulatorConfig, keys: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        events = write_simulation(shop, Path(folder)).events
        config = resolved(read_settings(FreshrankConfig, None, keys), out, resume=False)
        source = FileSource(config.source, [str(events)], config.batch)
        return run_replay(Replay(config, source, out)).record["metrics"]


def _truth(config: SimulatorConfig) -> list[float]:
    """The same figures of the true probabilities."""
    shop = Shop(config)
    lists = shown_lists(shop, walked(shop).sessions)
    is_shown = lists.item_NK >= 0
    p_S, is_clicked_S = lists.probability_NK[is_shown], lists.is_clicked_NK[is_shown]
    rate = float(is_clicked_S.mean())
    loss = -float(np.log(np.where(is_clicked_S, p_S, 1 - p_S)).mean())
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return [rate, float(p_S.mean()) / rate, loss, loss / entropy, _auc(p_S, is_clicked_S)]


def _auc(p_S: Float64s, is_clicked_S: Bools) -> float:
    """The share of (clicked, not clicked) pairs in the right order; equal ones count half."""
    clicked, others = p_S[is_clicked_S], np.sort(p_S[~is_clicked_S])
    below = np.searchsorted(others, clicked, side="left")
    not_above = np.searchsorted(others, clicked, side="right")
    return float((below + not_above).sum() / (2 * len(clicked) * len(others)))


if __name__ == "__main__":
    main()
