"""A run's folder with something of everything, made up: for tests of what a report shows.

Recall and CTR fall on the third of six days and recover; two rules fire, a reaction answers one.
"""

import json
import math
from pathlib import Path
from typing import Any

START_MS = 1_704_067_200_000  # 2024-01-01
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
N_DAYS = 6
SHADOWS = ("popularity", "item_knn", "session_knn")
POLICIES = ("popular-first", "explore <10%>", "</script><script>alert(1)</script>")
GROUPS = ("tea", "</script><b>cups</b>", "a group with a name that is longer than its place")
HOSTILE = 'not JSON </script><img src=x onerror="alert(1)"> \u202e & \x1b[31m'

Record = dict[str, Any]


def write_rich_run(folder: Path, n_records: int = 144, hours_apart: float = 1.0) -> Path:
    """Write the files of a run into a folder, and `truth.jsonl` beside them; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [metrics_record(n, n_records, hours_apart) for n in range(n_records)]
    write_lines(folder / "metrics.jsonl", records)
    write_lines(folder / "alerts.jsonl", alert_records())
    letters = [
        {
            "seq": 0,
            "name": f"dead_letter-{n}",
            "origin": f"a.jsonl:{n}",
            "reason": reason,
            "raw": raw,
        }
        for n, (reason, raw) in enumerate(
            [
                ("unknown type 'clik'", '{"type": "clik"}'),
                ("JSON is malformed: invalid character (byte 4)", HOSTILE),
                ("unknown type 'vieww'", '{"type": "vieww"}'),
            ]
        )
    ]
    write_lines(folder / "dead_letters.jsonl", letters)
    last = records[-1]
    summary = {
        "events": 180_000,
        "events_now": 180_000,
        "records": 180_057,
        "seconds": 93.4,
        "events_per_second": 1927.2,
        "stage_seconds": {"read": 4.1, "predict": 21.0, "judge": 6.5, "learn": 60.2, "commit": 1.6},
        **{key: last[key] for key in ("metrics", "shadows", "policies", "counts", *details(0, 1))},
        "dead_letters": {"unknown type …": 50, "JSON is malformed: invalid character (byte …)": 7},
        "checkpoint": None,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2))
    (folder / "config.yaml").write_text(CONFIG)
    write_lines(folder / "truth.jsonl", truth_records())
    return folder


def write_lines(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def dip(day: float) -> float:
    """How much of what is good is there: less on the third day, and back some days later."""
    if day < 2.0:
        return 1.0
    return 1.0 - 0.5 * math.exp(-2.0 * max(day - 3.0, 0.0)) * min((day - 2.0) * 6.0, 1.0)


def figure(value: float, spread: float, n: int, n_records: int, **more: Any) -> Record:
    """A metric over every window; the first records have no window of time."""
    wobble = spread * (math.sin(n * 1.7) + math.sin(n * 0.61)) / 2
    parts: Record = {"total": value, "events": value + wobble, "faded": value + wobble / 3}
    if n > n_records // 20:
        parts["time"] = value + 1.8 * wobble
    parts["samples"] = {"total": 1000 * (n + 1), "events": 10_000, "time": 1200, "faded": 8646.7}
    return {**parts, **more}


def metrics_record(n: int, n_records: int, hours_apart: float) -> Record:
    day = N_DAYS * n / n_records
    good = dip(day) * (1 - math.exp(-(n + 3) * 6 / n_records))
    ctr = 0.062 * dip(day)
    predicted = 0.9 * ctr + 0.1 * 0.062
    recall = 0.42 * good
    metrics = {
        f"{name}@{k}": figure(recall * share * (k / 20) ** 0.4, 0.012, n, n_records)
        for name, share in (("recall", 1.0), ("mrr", 0.4), ("ndcg", 0.55))
        for k in (1, 20)
    }
    clicks = click_figures(ctr, predicted, n, n_records)
    shadows: Record = {}
    for place, name in enumerate(SHADOWS):
        theirs = (0.11, 0.36, 0.39)[place] * (1 + dip(day)) / 2
        ahead, half = recall - theirs, 0.4 / math.sqrt(n + 1)
        shadows[name] = {
            f"{metric}@{k}": figure(
                theirs * share,
                0.01,
                n,
                n_records,
                difference=ahead,
                interval=[ahead - half, ahead + half],
            )
            for metric, share in (("recall", 1.0), ("mrr", 0.4), ("ndcg", 0.55))
            for k in (1, 20)
        }
    return {
        "seq": 4 * n,
        "name": "metrics",
        "events": 1000 * (n + 1) + int(300 * math.sin(n / 3.8)),
        "watermark_ms": START_MS + int((n + 1) * hours_apart * HOUR_MS),
        "metrics": metrics | clicks | family_figures(day, n, n_records),
        "shadows": shadows,
        "policies": {
            name: click_figures(ctr * factor, predicted * factor, n, n_records)
            for name, factor in zip(POLICIES, (1.1, 0.7, 0.5), strict=True)
        },
        "counts": {"clicks": 1000 * (n + 1), "samples": 990 * (n + 1), "repeated_seen": 0},
        "reliability": [
            {"predicted": p, "observed": p * (1.25 - 2 * p), "samples": 1000 // (bin_ + 1)}
            for bin_, p in enumerate((0.004, 0.012, 0.025, 0.05, 0.08, 0.13, 0.2))
        ],
        **details(n, n_records),
    }


def family_figures(day: float, n: int, n_records: int) -> Record:
    """Figures of lists, interests, satisfaction and business."""
    values = {
        "coverage": 0.6 + 0.02 * day,
        "gini": 0.8,
        "diversity": 0.4 + 0.01 * day,
        "novelty": 9.5,
        "personalization": 0.7 * dip(day),
        "exposure_gap": 0.3 - 0.1 * dip(day),
        "like_share": 0.6 * dip(day),
        "mean_rating": 3.4,
        "mean_dwell": 28.0,
        "revenue_per_mille": 12.5,
        "revenue_per_click": 0.4,
        "ece": 0.004,
    }
    found = {name: figure(value, value / 30, n, n_records) for name, value in values.items()}
    shift = figure(0.05 + 0.3 * (1 - dip(day)), 0.01, n, n_records)
    del shift["total"]
    found["interest_shift"] = shift
    for name, users in (("active_users_day", 800), ("active_users_week", 2000)):
        found[name] = {"time": users + 100 * math.sin(day), "samples": {"time": 4000}}
    return found


def details(n: int, n_records: int) -> Record:
    """What families write beside their figures; groups are named by whoever wrote the log."""
    shift = {"interest_shift": figure(0.1, 0.01, n, n_records)}
    figures = {
        "recall@20": figure(0.3, 0.02, n, n_records),
        "ctr": figure(0.05, 0.01, n, n_records),
    }
    return {
        "exposure": [
            {"group": name, "shown": 0.3 / (place + 1), "clicked": 0.2}
            for place, name in enumerate(GROUPS)
        ],
        "interests": {
            "cohorts": {"0": shift, "1-4": shift},
            "rising": [{"group": GROUPS[0], "recent": 0.4, "past": 0.2}],
            "falling": [{"group": GROUPS[2], "recent": 0.1, "past": 0.3}],
        },
        "slices": {
            **{name: {"recall@20": figures["recall@20"]} for name in ("item=new", "item=known")},
            **{f"history={name}": figures for name in ("0", "1-4", "5-19", "20+")},
            **{f"place={name}": {"ctr": figures["ctr"]} for name in ("1", "2", "3")},
            f"context.device={POLICIES[2]}": figures,
        },
    }


def click_figures(ctr: float, predicted: float, n: int, n_records: int) -> Record:
    half = 0.004 + 0.01 / math.sqrt(n + 1)
    observed = figure(ctr, 0.003, n, n_records)
    observed["interval"] = {
        over: [max(observed[over] - half, 0.0), observed[over] + half]
        for over in ("total", "events", "time")
        if over in observed
    }
    return {
        "ctr": observed,
        "request_ctr": figure(4 * ctr, 0.01, n, n_records),
        "predicted_ctr": figure(predicted, 0.001, n, n_records),
        "calibration_ratio": figure(predicted / ctr, 0.05, n, n_records),
        "log_loss": figure(0.2 + 0.3 * (0.062 - ctr), 0.006, n, n_records),
        "normalized_entropy": figure(0.9 + 3 * (0.062 - ctr), 0.02, n, n_records),
        "auc": figure(0.74 - 2 * (0.062 - ctr), 0.01, n, n_records),
        "conversion_rate": figure(0.03, 0.002, n, n_records),
    }


def alert_records() -> list[Record]:
    recall = {"rule": "recall_low", "kind": "below", "metric": "recall@20", "over": "events"}
    recall |= {"severity": "page", "policy": None, "threshold": 0.3, "react": "boost"}
    ctr = {"rule": "ctr_drop", "kind": "drop", "metric": "ctr", "over": "time"}
    ctr |= {"severity": "warning", "policy": None, "threshold": 0.05, "react": "none"}
    began, fired, resolved = (START_MS + hours * HOUR_MS for hours in (50, 53, 82))
    return [
        transition(recall, "pending", began, began, 0.29),
        transition(recall, "firing", fired, began, 0.24),
        reaction("boost", "begin", fired),
        reaction("rollback", "refused", fired, "no anchor is old enough"),
        transition(ctr, "pending", began + HOUR_MS, began + HOUR_MS, 0.045),
        transition(ctr, "firing", fired + HOUR_MS, began + HOUR_MS, 0.032),
        transition(recall, "resolved", resolved, began, 0.33),
        reaction("boost", "end", resolved),
        transition(ctr, "resolved", resolved - 3 * HOUR_MS, began + HOUR_MS, 0.054),
        transition(recall, "pending", START_MS + 100 * HOUR_MS, START_MS + 100 * HOUR_MS, 0.295),
        transition(recall, "inactive", START_MS + 102 * HOUR_MS, START_MS + 100 * HOUR_MS, 0.31),
        transition(ctr, "pending", START_MS + 140 * HOUR_MS, START_MS + 140 * HOUR_MS, 0.04),
        transition(ctr, "firing", START_MS + 141 * HOUR_MS, START_MS + 140 * HOUR_MS, 0.04),
    ]


def transition(rule: Record, state: str, ts: int, since: int, value: float) -> Record:
    name = f"alert:{rule['rule']}:{state}"
    return {
        "seq": 1,
        "name": name,
        **rule,
        "state": state,
        "ts": ts,
        "since": since,
        "value": value,
    }


def reaction(name: str, action: str, ts: int, reason: str | None = None) -> Record:
    record = {"seq": 1, "name": f"reaction:{name}:{action}", "reaction": name, "action": action}
    return record | {
        "rule": "recall_low",
        "reason": reason,
        "ts": ts,
        "anchor": "anchor-000000000040",
    }


def truth_records() -> list[Record]:
    scheduled = {"type": "scheduled", "kind": "taste_shift", "share": 0.5}
    broken = {"type": "scheduled", "kind": "broken_policy", "share": 1.0}
    hours = [
        {
            "type": "ctr_hour",
            "ts": START_MS + hour * HOUR_MS,
            "ctr": 0.061 * dip(hour / 24) + 0.002 * math.sin(hour / 3.8),
            "shown": 900 + 100 * (hour % 5),
        }
        for hour in range(24 * N_DAYS)
    ]
    return [
        scheduled | {"ts": START_MS + 2 * DAY_MS, "ts_end": START_MS + 3 * DAY_MS},
        broken | {"ts": START_MS + 140 * HOUR_MS, "ts_end": START_MS + 144 * HOUR_MS},
        {"type": "switch", "user": "user-1", "ts": START_MS + 7, "from": "tea", "to": "coffee"},
        *hours,
    ]


CONFIG = """\
batch:
  events: 64
champion: transformer
shadows:
- popularity
- item_knn
- session_knn
evaluator:
  window_events: 10000
  window_time: 6h
alerts:
  rules:
  - name: recall_low
    kind: below
    metric: recall@20
    over: events
    threshold: 0.3
    react: boost
  - name: ctr_drop
    kind: drop
    metric: ctr
    share: 0.2
    reference: 1d
  - name: loss_high
    kind: above
    metric: log_loss
    threshold: 0.5
threads: 1
"""
