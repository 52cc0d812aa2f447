"""What a run came to, as tables: learners side by side, clicks by policy, alerts, dead letters."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluators.rule_labels import OWN_LABELS
from stream.reporting.alert_episodes import Episode, worst_value
from stream.reporting.figure_blocks import window_labels
from stream.reporting.formatting import (
    count_text,
    metric_title,
    percent_text,
    printable,
    span_text,
    time_text,
    value_text,
)
from stream.reporting.markup import Child, Html, element, table
from stream.reporting.metrics_table import CHAMPION, Figure, groups_of, longest_recall
from stream.reporting.run_data import CLICK_METRICS, CONVERSION_METRICS, RunData

RANKING_FIGURES = ("recall", "mrr", "ndcg")
MAX_ROWS = 200

Metrics = Mapping[str, Any]


def learners_table(run: RunData) -> Html | None:
    """Champion and shadows at the longest list; None where no click was judged."""
    groups = [
        (subject, metrics)
        for subject, metrics in groups_of(run.summary)
        if subject == CHAMPION or subject.startswith("shadow:")
    ]
    recall = longest_recall(groups[0][1])
    if recall is None:
        return None
    k = recall.partition("@")[2]
    has_shadows = len(groups) > 1
    header: list[Child] = ["learner"]
    for figure in RANKING_FIGURES:
        header += [f"{figure}@{k}", "last"]
    header += ["champion ahead by"] * has_shadows
    rows = []
    for subject, metrics in groups:
        name = run.champion if subject == CHAMPION else subject.partition(":")[2]
        cells: list[Child] = [element("b", name) if subject == CHAMPION else name]
        for figure in RANKING_FIGURES:
            parts = metrics.get(f"{figure}@{k}")
            cells += [_value(parts, "total"), _value(parts, "events")]
        if has_shadows:
            cells.append(None if subject == CHAMPION else _difference(metrics.get(recall)))
        rows.append(cells)
    return table(f"Ranking figures of the learners at {k}", header, rows)


def clicks_table(run: RunData) -> Html | None:
    """Click figures of all lists and of each policy's; None where no list matured."""
    groups = [
        (subject, metrics)
        for subject, metrics in groups_of(run.summary)
        if subject == CHAMPION or (_is_policy(subject) and "ctr" in metrics)
    ]
    known = [name for name in CLICK_METRICS if any(name in metrics for _, metrics in groups)]
    if "ctr" not in known:
        return None
    header: list[Child] = [
        "lists of",
        "shown items",
        *(metric_title(name) for name in known),
        "CTR, last",
    ]
    policies = sorted(groups[1:], key=lambda group: -(_samples(group[1].get("ctr")) or 0))
    rows: list[list[Child]] = []
    for subject, metrics in [groups[0], *policies[:MAX_ROWS]]:
        name = "all policies" if subject == CHAMPION else printable(subject.partition(":")[2])
        rows.append(
            [
                element("b", name) if subject == CHAMPION else name,
                count_text(_samples(metrics.get("ctr"))),
                *(_value(metrics.get(metric), "total", metric) for metric in known),
                _value(metrics.get("ctr"), "events", "ctr"),
            ]
        )
    return table("Click figures, of all lists and by the policy that made them", header, rows)


def conversions_table(run: RunData) -> Html | None:
    """What was told of conversions, by learner; None where none was judged."""
    groups = [
        (subject, metrics)
        for subject, metrics in groups_of(run.summary)
        if not _is_policy(subject) and any(name in metrics for name in CONVERSION_METRICS)
    ]
    if not groups:
        return None
    header: list[Child] = ["learner", "clicked items"]
    header += [metric_title(name) for name in CONVERSION_METRICS]
    rows: list[list[Child]] = []
    for subject, metrics in groups:
        name = run.champion if subject == CHAMPION else subject.partition(":")[2]
        rows.append(
            [
                element("b", name) if subject == CHAMPION else name,
                count_text(_samples(metrics.get(CONVERSION_METRICS[0]))),
                *(_value(metrics.get(metric), "total", metric) for metric in CONVERSION_METRICS),
            ]
        )
    return table("What clicks on lists were said to convert, since start", header, rows)


def alerts_table(run: RunData) -> Html | None:
    """Alerts that fired, in order of time; None where none did."""
    fired = run.alerts.fired
    if not fired:
        return None
    header = [
        "",
        "rule",
        "metric",
        "fired",
        "resolved",
        "fired for",
        "worst",
        "threshold",
        "reaction",
    ]
    rows = [_alert_row(run, number, episode) for number, episode in enumerate(fired[:MAX_ROWS], 1)]
    return table("Alerts that fired; times are UTC", header, rows, n_text_columns=len(header))


def dead_letters_list(run: RunData) -> Html | None:
    """Dead letters by reason with the first lines of each; None where there are none."""
    if not run.reasons:
        return None
    total = sum(reason.count for reason in run.reasons)
    items = []
    for reason in run.reasons[:MAX_ROWS]:
        share = f" ({percent_text(reason.count / total, digits=0)})" if total else ""
        samples = [
            element(
                "li",
                element("small", printable(sample.origin)),
                element("code", printable(sample.raw)),
            )
            for sample in reason.samples
        ]
        items.append(
            element(
                "li",
                element(
                    "p", element("b", count_text(reason.count)), f"{share} ", printable(reason.text)
                ),
                element("ul", *samples) if samples else None,
            )
        )
    return element("ol", *items, class_="letters")


def quiet_rules(run: RunData) -> list[str]:
    """Rules of the configuration that never fired."""
    rules = run.setting("alerts", "rules")
    if not isinstance(rules, list):
        return []
    names = [str(rule["name"]) for rule in rules if isinstance(rule, dict) and "name" in rule]
    fired = {episode.rule for episode in run.alerts.fired}
    return [name for name in names if name not in fired]


def _is_policy(subject: str) -> bool:
    return subject.startswith("policy:")


def _value(parts: Any, window: str, metric: str = "") -> str:
    value = parts.get(window) if isinstance(parts, dict) else None
    return value_text(float(value) if isinstance(value, int | float) else None, metric)


def _samples(parts: Any) -> float | None:
    samples = parts.get("samples") if isinstance(parts, dict) else None
    total = samples.get("total") if isinstance(samples, dict) else None
    return float(total) if isinstance(total, int | float) else None


def _difference(parts: Any) -> Html | None:
    if not isinstance(parts, dict) or not isinstance(parts.get("difference"), int | float):
        return None
    text, tone = f"{parts['difference']:+.3f}", None
    if (ends := _ends(parts.get("interval"))) is not None:
        low, high = ends
        text += f" [{low:+.3f}, {high:+.3f}]"
        tone = "good" if low > 0 else "bad" if high < 0 else None
    difference = element("span", text, class_=tone)
    if (ends := _ends(parts.get("interval_by_user"))) is None:
        return difference
    by_user = element("small", f"by user [{ends[0]:+.3f}, {ends[1]:+.3f}]")
    return element("span", difference, by_user, class_="stacked")


def _ends(value: Any) -> list[float] | None:
    is_pair = isinstance(value, list) and len(value) == 2
    return value if is_pair and all(isinstance(end, int | float) for end in value) else None


def _alert_row(run: RunData, number: int, episode: Episode) -> Sequence[Child]:
    metric, policy = episode.text("metric"), episode.text("policy")
    over = window_labels(run).get(episode.text("over"), episode.text("over"))
    shadow = episode.text("shadow")
    parts = (over, policy and f"policy {policy}", shadow and f"ahead of {shadow}")
    details = ", ".join(printable(part) for part in parts if part)
    assert episode.fired_ms is not None  # only those that fired have a row
    end_ms = _end_ms(run, episode)
    return [
        element("b", f"A{number}", class_="alert"),
        _rule_cell(episode),
        _stacked(metric_title(printable(metric)), details),
        _stacked(time_text(episode.fired_ms), _mute_text(episode)),
        _stacked(
            "still firing" if episode.ended_ms is None else time_text(episode.ended_ms),
            "rule withdrawn" if episode.is_withdrawn else "",
        ),
        element("span", span_text(end_ms - episode.fired_ms), class_="nowrap"),
        element("span", value_text(_worst(run, episode), metric), class_="nowrap"),
        element("span", value_text(episode.threshold, metric), class_="nowrap"),
        ", ".join(printable(text) for text in dict.fromkeys(episode.reactions)) or "none",
    ]


def _rule_cell(episode: Episode) -> Html:
    """Who fired, with what its notice says beside the figures, and where it says what to do."""
    labels = episode.record.get("labels")
    own = {
        str(name): str(value)
        for name, value in (labels.items() if isinstance(labels, dict) else ())
        if name not in OWN_LABELS
    }
    annotations = episode.record.get("annotations")
    texts = [
        ", ".join([episode.text("severity"), *(f"{name}={value}" for name, value in own.items())]),
        *(str(text) for text in (annotations.values() if isinstance(annotations, dict) else ())),
    ]
    runbook = episode.text("runbook")
    is_link = runbook.lower().startswith(("https://", "http://"))
    return element(
        "span",
        printable(episode.rule),
        *(element("small", printable(text)) for text in texts if text),
        element("small", element("a", printable(runbook), href=runbook))
        if is_link
        else element("small", printable(runbook))
        if runbook
        else None,
        class_="stacked",
    )


def _mute_text(episode: Episode) -> str:
    """Whether its firing was muted, and when it was told if it was so later."""
    if not episode.muted_by:
        return ""
    muted = f"muted by {', '.join(printable(one) for one in episode.muted_by)}"
    if episode.told_ms is None:
        return f"{muted}, never told"
    is_late = episode.told_ms != episode.fired_ms
    return f"{muted}, told {time_text(episode.told_ms)}" if is_late else f"later {muted}"


def _worst(run: RunData, episode: Episode) -> float | None:
    """Over the episode, of its transitions and of the records between them.

    Records hold the champion's figure, and no lead over a window.
    """
    if episode.text("kind") == "worse_than":
        return worst_value(episode.values, "below")
    policy = episode.text("policy")
    subject = f"policy:{policy}" if policy else CHAMPION
    column = run.metrics.column_of.get(
        Figure(subject, episode.text("metric"), episode.text("over"))
    )
    values = list(episode.values)
    if column is not None:
        ts_ms_R = run.metrics.ts_ms_R
        is_within_R = (ts_ms_R >= episode.pending_ms) & (ts_ms_R <= _end_ms(run, episode))
        values += column[is_within_R].tolist()
    return worst_value(values, episode.text("kind"))


def _end_ms(run: RunData, episode: Episode) -> int:
    if episode.ended_ms is not None:
        return episode.ended_ms
    last_ms = int(run.metrics.ts_ms_R[-1]) if len(run.metrics) else 0
    return max(last_ms, episode.fired_ms or episode.pending_ms)


def _stacked(text: str, below: str) -> Html:
    return element("span", text, element("small", below) if below else None, class_="stacked")
