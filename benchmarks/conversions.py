"""How good the conversion probabilities are: on simulated lists, beside the true probabilities.

In this shop a click is bought the more likely the more its user wants the item's category, and the
better the item is. The transformer's heads say of every item shown how likely it is clicked and how
likely a click converts, when it is shown; what became of it is known days later.

`clicked` judges p(convert | click) on the items that were clicked, as the evaluator does when their
conversion window has passed; `shown` judges p(click) p(convert | click) on all that was shown, by
what became of it in the end; `unclicked` p(convert | click) on what was not clicked, by the truth:
expected over true conversions, and how far off in the root mean square. `rate` stands for a
p(convert | click) that is the same for all: the rate of all clicked items, known in hindsight. The
truth is what the simulator drew from; a purchase counts for the last click before it, as in the
join, so that some of what was drawn for clicks on lists is another click's: its calibration is
above 1. Left out are lists shown before anything was told of conversions, and those of the last
days, whose purchases lie past the end.

    python -m benchmarks.conversions [--seeds 0 1 2] [--only NAME] [--set key=value ...]
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluators.click_figures import exact_auc, log_losses
from learners.panel import Panel
from stream.build import build_learner, build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.config import FreshrankConfig
from stream.pipeline import Pipeline
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.shop_config import DAY_MS
from stream.sources.shop_sequels import conversion_probability, purchases
from stream.sources.simulator import Simulation, SimulatorConfig, simulate, write_simulation
from stream.values import Bools, Float64s, Queries

# Less replay than usual: it is about the heads, and about what reaches the encoder beside.
SETTINGS = [
    *("champion=transformer", "shadows=[]", "threads=1", "joiner.conversion_window=3d"),
    *("learner.replay_ratio=1", "learner.minibatch=128"),
]
WAYS = {
    "entire": ["learner.tasks.conversion_space=entire"],
    "clicked": ["learner.tasks.conversion_space=clicked"],
    "both 0.1": ["learner.tasks.clicks=0.1", "learner.tasks.conversions=0.1"],
    "both 1": ["learner.tasks.clicks=1", "learner.tasks.conversions=1"],
}
LATEST_PURCHASE_MS = 3 * DAY_MS
RECALL = "recall@20"
COLUMNS = ("rate", "calibration", "log loss", "norm. entropy", "AUC")
WIDTH = 14


@dataclass(frozen=True)
class Shown:
    """Every item shown: what was told of it, what is true of it, and what became of it."""

    told_S: Float64s
    click_told_S: Float64s
    true_S: Float64s
    click_true_S: Float64s
    is_clicked_S: Bools
    is_converted_S: Bools

    def where(self, is_chosen_S: Bools) -> "Shown":
        """Some of them."""
        return Shown(*(getattr(self, name)[is_chosen_S] for name in self.__dataclass_fields__))


class WatchedPanel(Panel):
    """The champion alone; what it told of each item shown is kept, in order."""

    def __init__(self, config: FreshrankConfig) -> None:
        super().__init__((config.champion, build_learner(config, config.champion)), {})
        self.told: list[Float64s] = []

    def predict(self, queries: Queries) -> dict:
        found = super().predict(queries)
        [predictions] = found.values()
        if queries.shown is not None:
            click_S = predictions.click_probability_S
            conversion_S = predictions.conversion_probability_S
            if conversion_S is None:
                conversion_S = np.full(len(click_S), np.nan)
            self.told.append(np.stack([click_S, conversion_S]))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="ways whose name begins with this")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    heads = ["seed", "way", "over", "items", *COLUMNS]
    print(*(f"{name:>{WIDTH}}" for name in heads))
    for seed in arguments.seeds:
        shop = SimulatorConfig(
            seed=seed,
            clicks=30_000,
            users=1000,
            items=500,
            conversion_ratio=0.6,
            conversion_taste=1.0,
        )
        for way in (name for name in WAYS if name.startswith(arguments.only)):
            shown, metrics = told_and_true(shop, [*SETTINGS, *WAYS[way], *arguments.set])
            tell(seed, way, shown, metrics)
        flat_S = np.full(len(shown.told_S), shown.is_converted_S[shown.is_clicked_S].mean())
        tell(seed, "rate", replace(shown, told_S=flat_S))
        tell(seed, "truth", replace(shown, told_S=shown.true_S, click_told_S=shown.click_true_S))


def tell(seed: int, way: str, shown: Shown, metrics: dict | None = None) -> None:
    """Print the figures of one way."""
    if metrics:
        judged = [
            metrics[name]["total"]
            for name in (
                "predicted_conversion_rate",
                "conversion_calibration_ratio",
                "conversion_log_loss",
                "conversion_normalized_entropy",
                "conversion_auc",
            )
        ]
        judged[0] /= judged[1]
        n = int(metrics["conversion_auc"]["samples"]["total"])
        line(seed, way, "clicked, judged", n, judged)
    clicked = shown.where(shown.is_clicked_S)
    line(seed, way, "clicked", *figures(clicked.told_S, clicked.is_converted_S))
    line(seed, way, "shown", *figures(shown.told_S * shown.click_told_S, shown.is_converted_S))
    rest = shown.where(~shown.is_clicked_S)
    off = float(np.sqrt(np.mean((rest.told_S - rest.true_S) ** 2)))
    ratio = float(rest.told_S.sum() / rest.true_S.sum())
    line(seed, way, "unclicked", len(rest.told_S), [float(rest.true_S.mean()), ratio])
    print(f"{'':{3 * WIDTH}} off by {off:.4f}", end="")
    print(f", {RECALL} {metrics[RECALL]['total']:.4f}" if metrics else "", flush=True)


def line(seed: int, way: str, over: str, n: int, values: Sequence[float]) -> None:
    print(*(f"{one:>{WIDTH}}" for one in (seed, way, over, n)), end=" ")
    print(*(f"{value:{WIDTH}.4f}" for value in values))


def figures(p_S: Float64s, is_hit_S: Bools) -> tuple[int, list[float]]:
    """How many there are; their rate, calibration, log loss, normalised entropy and AUC."""
    rate, loss = float(is_hit_S.mean()), float(log_losses(p_S, is_hit_S).mean())
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    auc = exact_auc(p_S[is_hit_S], p_S[~is_hit_S])
    return len(p_S), [rate, float(p_S.mean()) / rate, loss, loss / entropy, auc or np.nan]


def told_and_true(shop: SimulatorConfig, settings: list[str]) -> tuple[Shown, dict]:
    """What one replay told of each item shown beside the truth, and its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        events = write_simulation(shop, Path(folder)).events
        config = resolved(read_settings(FreshrankConfig, None, settings), out, resume=False)
        source = FileSource(config.source, [str(events)], config.batch)
        seldom = config.checkpoint.model_copy(
            update={"every": 10**9, "dir": out / config.checkpoint.dir}
        )
        with Checkpoints(seldom, config_hash(config)) as checkpoints:
            pipeline = build_pipeline(config, source, out, checkpoints)
            panel = WatchedPanel(config)
            pipeline = Pipeline(replace(pipeline.parts, panel=panel))
            pipeline.run()
            metrics = pipeline.metrics()["metrics"]
            pipeline.close()
    click_told_S, told_S = np.concatenate(panel.told, axis=1)
    truth = what_is_true(simulate(shop))
    shown = replace(truth, told_S=told_S, click_told_S=click_told_S)
    return shown.where(~np.isnan(told_S) & is_settled(simulate(shop))), metrics


def what_is_true(simulation: Simulation) -> Shown:
    """Of every item shown, list by list, as they are recorded."""
    shop, lists = simulation.shop, simulation.lists
    assert lists is not None
    list_S, place_S = np.nonzero(lists.item_NK >= 0)
    click_ms_S = lists.click_ms_NK[list_S, place_S]
    item_S = lists.item_NK[list_S, place_S]
    is_bought_NK = np.zeros(lists.item_NK.shape, bool)
    for request, item in bought_of_lists(simulation):
        is_bought_NK[request] |= lists.item_NK[request] == item
    none_S = np.full(len(item_S), np.nan)
    return Shown(
        told_S=none_S,
        click_told_S=none_S,
        true_S=conversion_probability(shop, lists.user_N[list_S], item_S, click_ms_S),
        click_true_S=lists.probability_NK[list_S, place_S],
        is_clicked_S=lists.is_clicked_NK[list_S, place_S],
        is_converted_S=is_bought_NK[list_S, place_S],
    )


def bought_of_lists(simulation: Simulation) -> list[tuple[int, int]]:
    """Lists and items of them whose click was the last on the item before a purchase of it."""
    clicks = simulation.clicks
    bought = purchases(simulation.shop, clicks)
    columns = (clicks.user_N, clicks.item_N, clicks.ts_N, clicks.request_N)
    of_pair: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for user, item, ts, request in zip(*(one.tolist() for one in columns), strict=True):
        of_pair.setdefault((user, item), []).append((ts, request))
    found = []
    for n, ts in zip(bought.click_P.tolist(), bought.ts_P.tolist(), strict=True):
        user, item, named = (int(one[n]) for one in (columns[0], columns[1], columns[3]))
        agreeing = [
            click
            for click in of_pair[user, item]
            if ts - LATEST_PURCHASE_MS <= click[0] <= ts
            and (-1 in (named, click[1]) or named == click[1])
        ]
        request = max(agreeing)[1]
        if request >= 0:
            found.append((request, item))
    return found


def is_settled(simulation: Simulation) -> Bools:
    """Whether all that may be bought of each item shown is bought before the end."""
    lists = simulation.lists
    assert lists is not None
    list_S, place_S = np.nonzero(lists.item_NK >= 0)
    end_ms = simulation.shop.config.end_ms - LATEST_PURCHASE_MS
    settled_S: Bools = lists.click_ms_NK[list_S, place_S] < end_ms
    return settled_S


if __name__ == "__main__":
    main()
