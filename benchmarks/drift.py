"""How soon each drift detector, and the plain drop rule, tells of a drift, and how often of none.

A simulated shop of 14 days that changes in nothing but one drift, at noon of day 8: 90 % of the
users take up another favourite within three hours (`taste_shift`), half of the items give way to
new ones (`catalogue_switch`), the ranking is turned around for two days (`broken_policy`), or half
of the clicks are lost for two days (`tracking_outage`). All rules watch the same run side by side.
Delays are events from the start of the drift until the rule fires, at most `HORIZON_EVENTS`; false
alarms are counted on the same shops without the drift.

    python -m benchmarks.drift [--champion NAME ...] [--seeds 5] [--clicks 60000]
"""

import argparse
import json
import logging
import statistics
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from stream.config import FreshrankConfig
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.simulator import SimulatorConfig, simulate, write_simulation

CONFIG = Path(__file__).with_name("drift.yaml")
HORIZON_EVENTS = 20_000
NO_DRIFT = "none"
DRIFTS_OF = {
    "recall@20": {
        "taste_shift": {"day": 7.5, "days": 0.125, "share": 0.9},
        "catalogue_switch": {"day": 7.5, "share": 0.5},
    },
    "ctr": {
        "broken_policy": {"day": 7.5, "days": 2.0, "share": 1.0},
        "tracking_outage": {"day": 7.5, "days": 2.0, "share": 0.5},
    },
}
DROP = {"kind": "drop", "over": "events", "reference": "20000 events", "share": 0.1}
DROP |= {"for": "500 events", "clear_share": 0.05, "keep_firing_for": "500 events"}
RULES = {
    "drop by 10 %": {**DROP, "min_samples": 1000},
    "drop by 20 %": {**DROP, "share": 0.2, "clear_share": 0.1, "min_samples": 1000},
    "adwin": {"detector": "adwin"},
    "adwin, feed: 100 samples": {"detector": "adwin", "feed": "100 samples"},
    "page_hinkley": {"detector": "page_hinkley"},
    "page_hinkley, threshold: 100": {
        "detector": "page_hinkley",
        "parameters": {"threshold": 100},
    },
    "kswin": {"detector": "kswin"},
    "kswin, alpha: 0.0001": {"detector": "kswin", "parameters": {"alpha": 0.0001}},
}


@dataclass
class Found:
    """What one rule came to over all seeds; a delay is None where it did not fire in time."""

    delays: dict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    n_false: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--champion", nargs="+", default=["item_knn", "transformer"])
    parser.add_argument("--metric", nargs="+", default=list(DRIFTS_OF), choices=DRIFTS_OF)
    parser.add_argument("--seeds", type=int, default=5, help="with the transformer a third of them")
    parser.add_argument("--clicks", type=int, default=60_000)
    arguments = parser.parse_args()
    logging.getLogger("freshrank").addHandler(logging.NullHandler())
    for metric in arguments.metric:
        for champion in arguments.champion:
            if metric == "ctr" and champion != arguments.champion[0]:
                continue  # another policy showed the lists: every champion would tell the same
            n_seeds = arguments.seeds if champion != "transformer" else -(-arguments.seeds // 3)
            _report(metric, champion, range(n_seeds), arguments.clicks)


def _report(metric: str, champion: str, seeds: range, n_clicks: int) -> None:
    drifts, found_of = list(DRIFTS_OF[metric]), {name: Found() for name in RULES}
    n_quiet_events = 0
    for seed in seeds:
        for drift in (NO_DRIFT, *drifts):
            firings, n_before, n_events = _run(metric, champion, drift, (seed, n_clicks))
            n_quiet_events += n_events if drift == NO_DRIFT else 0
            for name, found in found_of.items():
                if drift == NO_DRIFT:
                    found.n_false += len(firings[name])
                    continue
                delays = [n - n_before for n in firings[name] if n >= n_before]
                found.delays[drift].append(next((d for d in delays if d <= HORIZON_EVENTS), None))
    print(
        f"\n{metric} of {champion}, {len(seeds)} seeds, {n_quiet_events:,} events without a drift"
    )
    print("| rule | " + " | ".join(f"{drift}: events" for drift in drifts), end="")
    print(" | false alarms per 100,000 events |\n" + "| --- " * (len(drifts) + 2) + "|")
    for name, found in found_of.items():
        cells = [_delay_text(found.delays[drift]) for drift in drifts]
        print(f"| {name} | {' | '.join(cells)} | {found.n_false / n_quiet_events * 1e5:.2f} |")


def _run(
    metric: str, champion: str, drift: str, shop: tuple[int, int]
) -> tuple[dict[str, list[int]], int, int]:
    """The events at which each rule fired, the events before the drift, and all events."""
    config = _shop(metric, drift, *shop)
    start_ms = config.schedule[0].start_ms if config.schedule else config.end_ms
    n_before = sum(1 for event in simulate(config).events() if event["ts"] < start_ms)
    names = {f"rule_{number}": name for number, name in enumerate(RULES)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        events = write_simulation(config, Path(folder)).events
        run = resolved(_settings(metric, champion), out, resume=False)
        run_replay(Replay(run, FileSource(run.source, [str(events)], run.batch), out))
        with (out / "alerts.jsonl").open(encoding="utf-8") as file:
            notices = [json.loads(line) for line in file]
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    firings: dict[str, list[int]] = {name: [] for name in names.values()}
    for notice in notices:
        if notice.get("state") == "firing":
            firings[names[notice["rule"]]].append(notice["events"])
    return firings, n_before, summary["events"]


def _shop(metric: str, drift: str, seed: int, n_clicks: int) -> SimulatorConfig:
    happening = () if drift == NO_DRIFT else ({"kind": drift, **DRIFTS_OF[metric][drift]},)
    return SimulatorConfig.model_validate(
        {
            "seed": seed,
            "clicks": n_clicks,
            "users": 1000,
            "items": 500,
            "requests_per_session": 2.0 if metric == "ctr" else 0.0,
            # Nothing changes but what is told.
            **dict.fromkeys(("switching_ratio", "drift_ratio", "launched_ratio"), 0.0),
            "retired_ratio": 0.0,
            "events": happening,
        }
    )


def _settings(metric: str, champion: str) -> FreshrankConfig:
    config = read_settings(FreshrankConfig, CONFIG, [f"champion={champion}"])
    rules = [
        {"kind": "drift", "name": f"rule_{number}", "metric": metric, **rule}
        for number, rule in enumerate(RULES.values())
    ]
    alerts = type(config.alerts).model_validate(
        {"evaluate_every": config.alerts.evaluate_every, "rules": rules}
    )
    return config.model_copy(update={"alerts": alerts})


def _delay_text(delays: list[int | None]) -> str:
    """The median with the range, and how many runs it stands for where not all."""
    known = sorted(delay for delay in delays if delay is not None)
    if not known:
        return f"0 of {len(delays)}"
    of = "" if len(known) == len(delays) else f", {len(known)} of {len(delays)}"
    return f"{statistics.median_low(known):,} ({known[0]:,} .. {known[-1]:,}{of})"


if __name__ == "__main__":
    main()
