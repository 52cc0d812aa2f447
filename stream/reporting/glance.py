"""What to know first: what changed, who is ahead, and for whom it is worse."""

from collections.abc import Mapping, Sequence

from stream.reporting.changes import Change, Level, changes_of
from stream.reporting.figure_blocks import window_labels
from stream.reporting.formatting import (
    NOTHING,
    metric_title,
    percent_text,
    printable,
    time_text,
    value_text,
)
from stream.reporting.marks import Mark
from stream.reporting.markup import Child, Html, element, table
from stream.reporting.metrics_table import groups_of, longest_recall
from stream.reporting.run_data import RunData
from stream.reporting.slice_intervals import slices_apart

_MAX_NAMES = 6


def glance_block(run: RunData, marks: Sequence[Mark]) -> list[Child]:
    """Sentences, and a table of changes; a sentence that there is none."""
    told = [_shadows_sentence(run), _alerts_sentence(run), *_slices_sentences(run)]
    sentences = [element("li", text) for text in told if text]
    changes = changes_of(run)
    found = _changes_table(run, changes, marks) if changes else None
    if not sentences and found is None:
        return [element("p", "Nothing was judged yet.")]
    return [
        element("ul", *sentences, class_="glance") if sentences else None,
        *([element("h3", "Largest changes for the worse"), found] if found else []),
        element("p", _CAPTION, class_="caption") if found else None,
    ]


_CAPTION = (
    "From the best level to the worst one after it. Sure: the intervals of both lie apart, with "
    "95 % confidence at all records at once. Made up: the share of the fall that is gone again."
)


def _changes_table(run: RunData, changes: Sequence[Change], marks: Sequence[Mark]) -> Html:
    labels = window_labels(run)
    rows: list[list[Child]] = [
        [
            _stacked(metric_title(one.metric), labels.get(one.window, one.window)),
            _level(one.before, one.metric),
            _level(one.after, one.metric),
            {True: "sure", False: "may be chance", None: NOTHING}[one.is_sure],
            ", ".join(_codes(one, marks)) or NOTHING,
            value_text(one.now, one.metric),
            percent_text(min(max(one.regained, 0.0), 1.0), digits=0),
        ]
        for one in changes
    ]
    header = ["figure", "from", "to", "how sure", "meanwhile", "now", "made up"]
    return table("Largest changes for the worse", header, rows, n_text_columns=5)


def _level(level: Level, metric: str) -> Html:
    interval = ""
    if level.ends is not None:
        low, high = (value_text(end, metric) for end in level.ends)
        interval = f"{low} to {high}"
    return element(
        "span",
        element("b", value_text(level.value, metric)),
        element("small", time_text(level.ts_ms), class_="nowrap"),
        element("small", interval, class_="nowrap") if interval else None,
        class_="stacked",
    )


def _codes(change: Change, marks: Sequence[Mark]) -> list[str]:
    """What is marked between the two levels."""
    found = [
        mark.code
        for mark in marks
        if mark.code and mark.start_ms <= change.after.ts_ms and mark.end_ms >= change.before.ts_ms
    ]
    return found[:_MAX_NAMES]


def _shadows_sentence(run: RunData) -> str:
    recall = longest_recall(_mapping(run.summary.get("metrics")))
    by_verdict: dict[str, list[str]] = {"ahead of": [], "behind": [], "undecided against": []}
    for subject, figures in groups_of(run.summary):
        kind, _, name = subject.partition(":")
        ends = _mapping(figures.get(recall or "")).get("interval")
        if kind != "shadow" or not isinstance(ends, list) or len(ends) != 2:
            continue
        verdict = "ahead of" if ends[0] > 0 else "behind" if ends[1] < 0 else "undecided against"
        by_verdict[verdict].append(printable(name, 40))
    parts = [f"{verdict} {_listed(names)}" for verdict, names in by_verdict.items() if names]
    return f"In {recall} since start, {run.champion} is {'; '.join(parts)}." if parts else ""


def _alerts_sentence(run: RunData) -> str:
    fired = run.alerts.fired
    if not fired:
        return ""
    firing = [episode for episode in fired if episode.ended_ms is None]
    n_rules = len({episode.rule for episode in fired})
    told = f"{len(fired):,} alerts of {n_rules:,} rules fired"
    if len(fired) == 1:
        told = f"One alert fired: {printable(fired[0].rule)}"
    if not firing:
        return f"{told}; all have resolved."
    since = [f"{printable(one.rule)} since {time_text(one.fired_ms)}" for one in firing]
    return f"{told}; still firing: {_listed(since)}."


def _slices_sentences(run: RunData) -> list[str]:
    """For whom the champion is worse, or better, than overall beyond chance."""
    sentences = []
    recall = longest_recall(_mapping(run.summary.get("metrics")))
    for metric in (recall, "ctr"):
        for told, names in slices_apart(run, metric or "").items():
            sentences.append(f"{metric_title(metric or '')} is {told} in {_listed(names)}.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _stacked(text: str, below: str) -> Html:
    return element("span", text, element("small", below), class_="stacked")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
