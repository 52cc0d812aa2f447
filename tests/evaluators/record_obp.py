"""Records what the Open Bandit Pipeline says, for the tests to compare our estimates with.

obp 0.5.7 cannot be installed beside the loop: it pins old releases, and imports torch, seaborn
and others that its estimators do not use. In an environment of its own:

    python -m venv obp && obp/bin/pip install numpy pandas scipy scikit-learn matplotlib tqdm pyyaml
    obp/bin/pip install --no-deps --ignore-requires-python obp==0.5.7
    obp/bin/python tests/evaluators/record_obp.py OPEN_BANDIT_FOLDER

It writes `obp_reference.json` beside it: results alone, no data. What is imported and not used is
stood in for by empty modules.
"""

import csv
import gzip
import importlib
import importlib.abc
import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np

MAX_WEIGHTS = (2.0, 20.0)
SEEDS = range(4)
N_ROUNDS, N_ACTIONS, N_POSITIONS = 400, 7, 3


def random_rounds(seed):
    """A bandit log with positions, a target policy that depends on the context, and a model."""
    rng = np.random.default_rng(seed)
    shape = (N_ROUNDS, N_ACTIONS, N_POSITIONS)
    logging = rng.dirichlet(np.full(N_ACTIONS, 0.7), (N_ROUNDS, N_POSITIONS)).transpose(0, 2, 1)
    target = rng.dirichlet(np.full(N_ACTIONS, 0.7), (N_ROUNDS, N_POSITIONS)).transpose(0, 2, 1)
    true, model = rng.beta(1, 6, shape), rng.beta(1, 6, shape)
    position = rng.integers(0, N_POSITIONS, N_ROUNDS)
    each = np.arange(N_ROUNDS)
    ends = logging[each, :, position].cumsum(axis=1)
    action = (ends[:, :-1] <= rng.random((N_ROUNDS, 1))).sum(axis=1)
    reward = (rng.random(N_ROUNDS) < true[each, action, position]).astype(int)
    return {
        "reward": reward,
        "action": action,
        "position": position,
        "pscore": logging[each, action, position],
        "action_dist": target,
        "estimated_rewards_by_reg_model": model,
    }


def open_bandit_rounds(folder):
    """The log of `random`, the policy of `bts` as a table, and a model that is one too.

    The table holds, by item and position, the harmonic mean of the logged propensities of `bts`,
    brought to a sum of 1; the model holds the click rates by item and position of `random`'s first
    half, drawn towards 0.005 by 100 items.
    """
    logged, shown = ([*_rows(folder, policy)] for policy in ("bts", "random"))
    count, inverse = np.zeros((34, 3)), np.zeros((34, 3))
    for item, position, _, propensity in logged:
        count[item, position] += 1
        inverse[item, position] += 1 / propensity
    table = np.divide(count, inverse, out=np.zeros((34, 3)), where=inverse > 0)
    table /= table.sum(axis=0)
    n_shown, clicks = np.zeros((34, 3)), np.zeros((34, 3))
    for item, position, click, _ in shown[: len(shown) // 2]:
        n_shown[item, position] += 1
        clicks[item, position] += click
    model = (clicks + 100 * 0.005) / (n_shown + 100)
    item, position, click, propensity = (np.array(column) for column in zip(*shown, strict=True))
    n = len(shown)
    return {
        "reward": click,
        "action": item,
        "position": position,
        "pscore": propensity,
        "action_dist": np.broadcast_to(table, (n, 34, 3)),
        "estimated_rewards_by_reg_model": np.broadcast_to(model, (n, 34, 3)),
    }


def _rows(folder, policy):
    with gzip.open(folder / f"{policy}-men.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            yield (
                int(row["item_id"]),
                int(row["position"]) - 1,
                int(row["click"]),
                float(row["propensity_score"]),
            )


def estimates(rounds):
    """What obp says, by our names."""
    ope = importlib.import_module("obp.ope")
    found = {
        "ips_ctr": ope.InverseProbabilityWeighting(),
        "snips_ctr": ope.SelfNormalizedInverseProbabilityWeighting(),
        "dr_ctr": ope.DoublyRobust(),
    }
    for max_weight in MAX_WEIGHTS:
        found |= {
            f"clipped_ips_ctr {max_weight}": ope.InverseProbabilityWeighting(lambda_=max_weight),
            f"clipped_dr_ctr {max_weight}": ope.DoublyRobust(lambda_=max_weight),
            f"switch_dr_ctr {max_weight}": ope.SwitchDoublyRobust(lambda_=max_weight),
        }
    return {
        name: float(estimator.estimate_policy_value(**rounds)) for name, estimator in found.items()
    }


class _Empty(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Empty(name, (object,), {})


class _EmptyModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Empty(name, (object,), {})


class _EmptyModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    names = frozenset({"torch", "seaborn", "pyieoe"})

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = _EmptyModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module):
        """Nothing is in it."""


def main():
    sys.meta_path.append(_EmptyModules())
    reference = {
        "obp": importlib.import_module("obp").__version__,
        "random": {str(seed): estimates(random_rounds(seed)) for seed in SEEDS},
        "open_bandit": estimates(open_bandit_rounds(Path(sys.argv[1]))),
    }
    path = Path(__file__).with_name("obp_reference.json")
    path.write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
