"""Off-policy estimates: one policy of Open Bandit from the other's log, and whether intervals hold.

Of the Open Bandit sample the log of `random` goes through the loop, each row an impression that
says how likely `bts` would have shown its item there; the estimates stand beside the CTR that `bts`
had in its own log of the same week.

On the simulator the truth is known: shops show lists by their own ranking, or at random, and a
target policy is asked about, a softmax of the true click probabilities with an error. Counted is
how often a 95 % interval holds the CTR that the target would have had at the places shown. Each
shop is small and quick; the lists go to the evaluator as they matured, without the loop.

    python -m benchmarks.offpolicy [--shops 200]
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets import data_folder
from evaluators.confidence import share_interval
from evaluators.offpolicy import OffPolicyConfig, OffPolicyJudge
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS
from evaluators.windows import WindowSizes
from stream.config import FreshrankConfig
from stream.importers.registry import import_events
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.shop import Shop
from stream.sources.shop_config import SimulatorConfig
from stream.sources.shop_lists import Lists, examination, shown_lists
from stream.sources.shop_walks import walked
from stream.targets import Choice, Targets
from stream.values import Float64s, Matured, Record

ESTIMATES = [name for name in OFF_POLICY_METRICS if name.endswith("_ctr")]
# The loop learns nothing here: the policies that are asked about come with the lists.
SETTINGS = ["champion=popularity", "shadows=[]", "threads=1", "joiner.match_without_request=never"]
LEARNER = "model"
HOUR_MS = 3_600_000
MAX_WEIGHT = OffPolicyConfig().max_weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shops", type=int, default=200)
    arguments = parser.parse_args()
    _print_open_bandit()
    for ranking, exploration_ratio in (("random", 1.0), ("own ranking", 0.0)):
        for temperature in (1.0, 0.3):
            _print_coverage(ranking, exploration_ratio, temperature, arguments.shops)


def _print_open_bandit() -> None:
    policies = _judged_open_bandit()
    for asked, shown in (("bts", "random"), ("random", "bts")):
        figures = policies[asked]
        n_items = figures["ips_ctr"]["samples"]["total"]
        effective = figures["effective_samples"]["total"]
        mean_weight = figures["mean_weight"]["total"]
        print(
            f"\nOpen Bandit, men: {asked} from the {n_items:,.0f} rows of {shown}, effective "
            f"samples {effective:,.0f}, mean weight {mean_weight:.4f}"
        )
        print(f"{'':>16} {'CTR':>8} {'from':>8} {'to':>8}")
        for name in ESTIMATES:
            ends = figures[name]["interval"]["total"]
            print(f"{name:>16} {figures[name]['total']:8.5f} {ends[0]:8.5f} {ends[1]:8.5f}")
        low, high = figures["clipped_ips_ctr"]["bounds"]["total"]
        print(f"{'bounds':>16} {'':>8} {low:8.5f} {high:8.5f}")
        own = policies[asked]["ctr"]
        low, high = own["interval"]["total"]
        print(f"{'its own log':>16} {own['total']:8.5f} {low:8.5f} {high:8.5f}")


def _judged_open_bandit() -> Record:
    with tempfile.TemporaryDirectory() as folder:
        events, out = Path(folder) / "bandit.jsonl", Path(folder) / "run"
        import_events("open-bandit", data_folder("open-bandit"), events, with_targets=True)
        with events.open("r+", encoding="utf-8") as file:
            last_ms = max(json.loads(line)["ts"] for line in file)
            late = {"type": "click", "user": "late", "ts": last_ms + HOUR_MS}
            for n in range(1000):  # when these come, every list is mature
                file.write(json.dumps(late | {"item": f"late-{n}"}) + "\n")
        config = resolved(read_settings(FreshrankConfig, None, SETTINGS), out, resume=False)
        source = FileSource(config.source, [str(events)], config.batch)
        return run_replay(Replay(config, source, out)).record["policies"]


@dataclass(frozen=True)
class _Case:
    """The lists of a shop, and what the target would have done at their places.

    `model_2NK` are a model's probabilities of a click on what was shown, and on the target's own
    choice; `value_NK` is the true probability of the latter.
    """

    lists: Lists
    probability_NK: Float64s
    model_2NK: Float64s
    value_NK: Float64s


def _print_coverage(
    ranking: str, exploration_ratio: float, temperature: float, n_shops: int
) -> None:
    held: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    effective, true, n_items = [], [], []
    for seed in range(n_shops):
        case = _case(seed, exploration_ratio, temperature)
        truth = float(case.value_NK.mean())
        figures_of = {"": _judged(case, model=None), " +model": _judged(case, case.model_2NK)}
        for told, figures in figures_of.items():
            for name in ESTIMATES:
                if told and "dr" not in name:
                    continue
                ends_of = {
                    "": figures[name].get("interval"),
                    " bounds": figures[name].get("bounds"),
                }
                for kind, ends in ends_of.items():
                    if ends is None:
                        continue
                    low, high = ends["total"]
                    held.setdefault(name + told + kind, []).append(low <= truth <= high)
                    widths.setdefault(name + told + kind, []).append(high - low)
                    errors.setdefault(name + told + kind, []).append(figures[name]["total"] - truth)
        effective.append(figures_of[""]["effective_samples"]["total"])
        true.append(truth)
        n_items.append(figures_of[""]["ips_ctr"]["samples"]["total"])
    print(
        f"\n{n_shops} shops, lists by {ranking}, target at temperature {temperature}: true CTR "
        f"{np.mean(true):.4f}, {np.mean(n_items):,.0f} items a shop, effective samples "
        f"{np.median(effective):,.0f} ({min(effective):,.0f} .. {max(effective):,.0f})"
    )
    print(f"{'':>22} {'mean error':>10} {'spread':>8} {'width':>8} {'shops':>6} {'held':>6}  95 %")
    for name, hits in held.items():
        low, high = share_interval(sum(hits), len(hits))
        print(
            f"{name:>22} {np.mean(errors[name]):10.5f} {np.std(errors[name]):8.5f} "
            f"{np.mean(widths[name]):8.5f} {len(hits):6} {np.mean(hits):6.3f}  "
            f"[{low:.3f}, {high:.3f}]"
        )


def _case(seed: int, exploration_ratio: float, temperature: float) -> _Case:
    """A shop whose items stay, so that what can be shown does not depend on the time."""
    config = SimulatorConfig(
        seed=seed,
        clicks=2_000,
        users=100,
        items=60,
        categories=6,
        days=4,
        list_items=3,
        exploration_ratio=exploration_ratio,
        launched_ratio=0.0,
        retired_ratio=0.0,
    )
    shop = Shop(config)
    lists = shown_lists(shop, walked(shop).sessions)
    n_lists, n_items = len(lists), config.items
    list_S, item_S = np.divmod(np.arange(n_lists * n_items), n_items)
    click_S = shop.click_probability(lists.user_N[list_S], item_S, lists.ts_N[list_S])
    click_NV = click_S.reshape(n_lists, n_items)
    rng = np.random.default_rng([seed, 7])
    # Both know the truth with an error of their own: by item the target, by category the model.
    score_NV = np.log(click_NV + 1e-3) + rng.normal(0, 0.5, n_items)
    model_NV = click_NV * np.exp(rng.normal(-0.3, 0.4, config.categories))[shop.items.category_V]
    weight_NV = np.exp((score_NV - score_NV.max(axis=1, keepdims=True)) / temperature)
    seen_K = examination(lists.item_NK.shape[1])
    each = np.arange(n_lists)
    probability_NK, value_NK = np.zeros(lists.item_NK.shape), np.zeros(lists.item_NK.shape)
    model_2NK = np.zeros((2, *lists.item_NK.shape))
    for place, looked_at in enumerate(seen_K.tolist()):
        item_N = lists.item_NK[:, place]
        share_NV = weight_NV / weight_NV.sum(axis=1, keepdims=True)
        probability_NK[:, place] = share_NV[each, item_N]
        value_NK[:, place] = looked_at * (share_NV * click_NV).sum(axis=1)
        model_2NK[0, :, place] = looked_at * model_NV[each, item_N]
        model_2NK[1, :, place] = looked_at * (share_NV * model_NV).sum(axis=1)
        weight_NV[each, item_N] = 0.0
    return _Case(lists, probability_NK, model_2NK, value_NK)


def _judged(case: _Case, model: Float64s | None) -> Record:
    """The figures of a target: with a model, or by the rates of places."""
    lists = case.lists
    n_lists, n_places = lists.item_NK.shape
    probability_S = case.probability_NK.ravel()
    choice = Choice(probability_S, None if model is None else model[1].ravel())
    judge = OffPolicyJudge(
        LEARNER, OffPolicyConfig(max_weight=MAX_WEIGHT), WindowSizes(1, 60_000, 1.0)
    )
    for first in range(0, n_lists, 64):
        end = min(first + 64, n_lists)
        items = slice(first * n_places, end * n_places)
        told = None if choice.click_S is None else choice.click_S[items]
        matured = Matured(
            ts_N=lists.ts_N[first:end],
            policy_N=[None] * (end - first),
            starts=np.arange(end - first + 1) * n_places,
            is_clicked_S=lists.is_clicked_NK.ravel()[items],
            probability_of={} if model is None else {LEARNER: model[0].ravel()[items]},
            targets=Targets(
                lists.propensity_NK.ravel()[items], Choice(probability_S[items], told), {}
            ),
        )
        judge.update(matured, int(lists.ts_N[end - 1]))
    return judge.metrics()


if __name__ == "__main__":
    main()
