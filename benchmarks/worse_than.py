"""A champion that becomes worse is noticed late as soon as early, with few false alarms.

Paired leads are drawn: one click in ten is hit by only one of champion and shadow. First a million
events are good, exactly equal or with the champion ahead, and false alarms are counted against the
run length that is stated; also where each user clicks 20 times in a row and leans to one of the
two, which is more than the statement allows for. Then the champion becomes worse after so many
good events, and what is counted is how long it takes the rule, and how long the interval of the
mean since start, which a user would look at otherwise; runs that had fired before are left out.

    python -m benchmarks.worse_than [--runs 20]
"""

import argparse
from collections.abc import Callable

import numpy as np

from evaluators.alert_rules import Rule
from evaluators.confidence_sequence import sum_margin
from evaluators.worse_than import WorseThan
from stream.values import Float64s

BATCH = 256
MOVED = 0.1
N_GOOD = 1_000_000
LONGEST = 1_000_000

Draw = Callable[[np.random.Generator, int], Float64s]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    _print_false_alarms(arguments.runs)
    _print_delays(arguments.runs)
    _print_ends(arguments.runs)


def _print_false_alarms(n_runs: int) -> None:
    print(f"False alarms in {n_runs} runs of {N_GOOD:,} good events")
    print(f"{'stream':>30} {'arl_events':>10} {'margin':>6} {'alarms':>6} {'events an alarm':>16}")
    streams: list[tuple[str, Draw, float]] = [
        ("exactly equal", lambda rng, n: leads(rng, n, 0.0), 0.0),
        ("ahead by 0.005", lambda rng, n: leads(rng, n, 0.005), 0.0),
        ("equal, users lean, 20 in a row", leaning, 0.0),
        ("equal, users lean, 20 in a row", leaning, 0.005),
    ]
    for name, draw, margin in streams:
        for arl in (10_000, 100_000, 1_000_000):
            n_alarms = n_events = 0
            for seed in range(n_runs):
                alarm, taken = _first_alarms(draw(np.random.default_rng(seed), N_GOOD), arl, margin)
                n_alarms, n_events = n_alarms + alarm, n_events + taken
            told = f"{n_events / n_alarms:,.0f}" if n_alarms else f"none in {n_events:,}"
            print(f"{name:>30} {arl:10,} {margin:6} {n_alarms:6} {told:>16}", flush=True)


def _first_alarms(lead_N: Float64s, arl: float, margin: float) -> tuple[int, int]:
    """Alarms in a stream, and its length; after an alarm the rule begins anew, as if resolved."""
    n_alarms, rival = 0, _rival(arl_events=arl, margin=margin)
    for start in range(0, len(lead_N), BATCH):
        rival.take(lead_N[start : start + BATCH])
        if rival.is_worse:
            n_alarms, rival = n_alarms + 1, _rival(arl_events=arl, margin=margin)
    return n_alarms, len(lead_N)


def _print_delays(n_runs: int) -> None:
    print(f"\nEvents from the change to the alarm, arl_events 1,000,000 (median, 90 % of {n_runs})")
    print(f"{'good events':>12} {'ahead':>6} {'then':>6}  {'rule':>18}  {'mean since start':>18}")
    for n_good in (0, 100_000, 1_000_000):
        for mean in (-0.005, -0.01, -0.02, -0.05):
            delays, delays_of_mean = [], []
            for seed in range(n_runs):
                rng = np.random.default_rng(seed)
                good_N, bad_N = leads(rng, n_good, 0.01), leads(rng, LONGEST, mean)
                rule_delay = _delay(good_N, bad_N)
                if rule_delay is not None:  # else it had fired before the change
                    delays.append(rule_delay)
                delays_of_mean.append(_delay_of_mean(good_N, bad_N))
            told = f"{_quantiles(delays)}  {_quantiles(delays_of_mean)}"
            print(f"{n_good:12,} {0.01:6} {mean:6}  {told}", flush=True)


def _print_ends(n_runs: int) -> None:
    print(f"\nEvents from a lead that is back to the end of the alarm (median, 90 % of {n_runs})")
    print(f"{'worse by':>8} {'margin':>6} {'then ahead':>10}  {'rule':>18}")
    for margin, mean in ((0.0, 0.02), (0.0, 0.01), (0.0, 0.0), (0.01, 0.0), (0.005, 0.0)):
        delays = []
        for seed in range(n_runs):
            rng = np.random.default_rng(seed)
            rival = _rival(margin=margin)
            _alarm_at(rival, leads(rng, LONGEST, -0.02 - margin), wanted=True)
            found = _alarm_at(rival, leads(rng, LONGEST, mean), wanted=False)
            delays.append(np.inf if found is None else found)
        print(f"{0.02 + margin:8} {margin:6} {mean:10}  {_quantiles(delays)}", flush=True)


def _delay(good_N: Float64s, bad_N: Float64s) -> float | None:
    rival = _rival()
    if _alarm_at(rival, good_N, wanted=True) is not None:
        return None
    found = _alarm_at(rival, bad_N, wanted=True)
    return np.inf if found is None else found


def _alarm_at(rival: WorseThan, lead_N: Float64s, wanted: bool) -> int | None:
    """Events until a batch ends in a condition."""
    for start in range(0, len(lead_N), BATCH):
        rival.take(lead_N[start : start + BATCH])
        if rival.is_worse == wanted:
            return start + BATCH
    return None


def _delay_of_mean(good_N: Float64s, bad_N: Float64s) -> float:
    """Until the interval of the mean since start lies below 0."""
    lead_N = np.concatenate((good_N, bad_N))
    n_L = np.arange(len(good_N) + BATCH, len(lead_N) + 1, BATCH)
    sum_L, square_L = lead_N.cumsum()[n_L - 1], (lead_N**2).cumsum()[n_L - 1]
    is_sure_L = sum_L < -sum_margin(square_L, 0.05)
    return float(n_L[is_sure_L.argmax()] - len(good_N)) if is_sure_L.any() else np.inf


def leads(rng: np.random.Generator, n: int, mean: float) -> Float64s:
    draw_N = rng.random(n)
    ahead, behind = (MOVED + mean) / 2, (MOVED - mean) / 2
    return (draw_N < ahead).astype(np.float64) - (draw_N > 1 - behind)


def leaning(rng: np.random.Generator, n: int) -> Float64s:
    """Users one after the other, 20 clicks each; to whom each leans is drawn evenly."""
    lean_N = np.repeat(rng.random(-(-n // 20)), 20)[:n]
    differs_N = rng.random(n) < MOVED
    return differs_N * np.where(rng.random(n) < lean_N, 1.0, -1.0)


def _rival(**keys: float) -> WorseThan:
    rule = {"name": "beaten", "kind": "worse_than", "metric": "recall@20", "shadow": "item_knn"}
    return WorseThan(Rule.model_validate(rule | keys))


def _quantiles(delays: list[float]) -> str:
    if not delays:
        return f"{'-':>18}"
    half, most = np.quantile(delays, [0.5, 0.9], method="lower")
    return " ".join(
        f"{one:>9,.0f}" if np.isfinite(one) else f"{'never':>9}" for one in (half, most)
    )


if __name__ == "__main__":
    main()
