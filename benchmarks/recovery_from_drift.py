"""Whether raising replay and learning rate after a sudden change brings recall back sooner.

A simulated shop; at noon of day 8 half of the items on sale give way to new ones, or 90 % of the
users take up another favourite within three hours. The same events are replayed twice under the
same rule, which compares recall with its own trailing mean: once the rule only tells
(`react: none`), once it reacts (`react: boost`). Counted are the clicks from the change until
recall over the last `window_events` clicks, having fallen below 95 % of what it was when the
change began, is back there and stays for a whole window.

    python -m benchmarks.recovery_from_drift [--drift KIND] [--seeds 0 1 2] [--set key=value]
"""

import argparse
import json
import logging
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from stream.config import FreshrankConfig
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource
from stream.sources.simulator import SimulatorConfig, write_simulation

CONFIG = Path(__file__).with_name("recovery_from_drift.yaml")
DRIFTS = {
    "catalogue_switch": {"kind": "catalogue_switch", "day": 7.5, "share": 0.5},
    "taste_shift": {"kind": "taste_shift", "day": 7.5, "days": 0.125, "share": 0.9},
}
BACK_AT = 0.95
METRIC = "recall@20"


@dataclass(frozen=True)
class Recovery:
    """How one run went; None where it does not apply or did not happen."""

    before: float
    lowest: float
    events: int | None
    firing_events: int | None
    mean_after: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drift", nargs="+", default=list(DRIFTS), choices=DRIFTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    logging.getLogger("freshrank").addHandler(logging.NullHandler())
    print(f"{METRIC} over the last clicks around the change; times in clicks since the change")
    print(f"{'':18}{'seed':>4} {'react':>6}{'before':>8}{'lowest':>8}{'mean after':>11}", end="")
    print(f"{'alert after':>12}{'back after':>11}")
    for drift, seed, reaction in product(arguments.drift, arguments.seeds, ("none", "boost")):
        found = _recovery(drift, seed, reaction, arguments.set)
        print(
            f"{drift:18}{seed:4} {reaction:>6}{found.before:8.4f}{found.lowest:8.4f}"
            f"{found.mean_after:11.4f}{_count(found.firing_events):>12}{_count(found.events):>11}",
            flush=True,
        )


def _recovery(drift: str, seed: int, reaction: str, overrides: list[str]) -> Recovery:
    shop = SimulatorConfig.model_validate(
        {
            "seed": seed,
            "clicks": 60_000,
            "users": 1000,
            "items": 500,
            "switching_ratio": 0.0,
            "requests_per_session": 0.0,
            "events": [DRIFTS[drift]],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        events = write_simulation(shop, Path(folder)).events
        config = resolved(_settings(reaction, overrides), out, resume=False)
        run_replay(Replay(config, FileSource(config.source, [str(events)], config.batch), out))
        records = _lines(out / "metrics.jsonl")
        alerts = _lines(out / "alerts.jsonl")
    return _judged(records, alerts, shop.schedule[0].start_ms)


def _settings(reaction: str, overrides: list[str]) -> FreshrankConfig:
    config = read_settings(FreshrankConfig, CONFIG, overrides)
    (rule,) = config.alerts.rules
    rules = (rule.model_copy(update={"react": reaction}),)
    return config.model_copy(update={"alerts": config.alerts.model_copy(update={"rules": rules})})


def _judged(records: list[dict], alerts: list[dict], shift_ms: int) -> Recovery:
    """Read the recovery off the records; `events` of a record are clicks judged."""
    before = [r for r in records if r["watermark_ms"] < shift_ms][-1]
    level = before["metrics"][METRIC]["events"]
    window = before["metrics"][METRIC]["samples"]["events"]
    later = [
        (r["events"] - before["events"], r["metrics"][METRIC]["events"])
        for r in records
        if r["watermark_ms"] >= shift_ms
    ]
    fired = [a for a in alerts if a.get("state") == "firing" and a["ts"] >= shift_ms]
    return Recovery(
        before=level,
        lowest=min(value for _, value in later),
        events=_back_after(later, BACK_AT * level, window),
        firing_events=fired[0]["events"] - before["events"] if fired else None,
        mean_after=sum(value for _, value in later) / len(later),
    )


def _back_after(later: list[tuple[int, float]], level: float, window: int) -> int | None:
    """Clicks until the value is at the level again and stays there for a window; 0 if always."""
    below = [n for n, value in later if value < level]
    if not below:
        return 0
    for n, value in later:
        if n > below[0] and value >= level and not any(n < m <= n + window for m in below):
            return n
    return None


def _lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _count(number: int | None) -> str:
    return "never" if number is None else f"{number:,}"


if __name__ == "__main__":
    main()
