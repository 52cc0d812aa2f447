import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.annotations import FIELDS, check_fields, rendered

RECORD = {
    "rule": "recall_low",
    "kind": "below",
    "state": "firing",
    "metric": "recall@20",
    "over": "events",
    "policy": None,
    "severity": "page",
    "description": "",
    "runbook": "docs/recall.md",
    "value": 0.12341,
    "threshold": 0.5,
    "clear": 0.5,
    "reference": None,
    "samples": 1200.0,
    "events": 1_234_567,
    "ts": 1_704_070_800_250,
    "since": 1_704_067_200_000,
    "labels": {"team": "shop"},
}
LABELS = {"team": "shop"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{value}", "0.1234"),
        ("{value:.1%}", "12.3%"),
        ("{value:+.2f}", "+0.12"),
        ("{value:.3e}", "1.234e-01"),
        ("{samples} of {events:,.0f}", "1200 of 1,234,567"),
        ("{events}", "1234567"),
        ("{since} .. {ts}", "2024-01-01T00:00:00Z .. 2024-01-01T01:00:00.250Z"),
        ("for {lasted}", "for 1h"),
        ("{rule} {kind} {state} {metric} {over}", "recall_low below firing recall@20 events"),
        ("{labels.team}: {severity}, {runbook}", "shop: page, docs/recall.md"),
        ("{reference:.1%} {policy} {description}", "- - -"),
        ("{{value}} {{{value}}}", "{value} {0.1234}"),
        ("no field, 100 %", "no field, 100 %"),
        ("", ""),
    ],
)
def test_a_template_is_filled_with_what_the_notice_says(template, expected):
    check_fields("summary", template, LABELS)
    assert rendered({"summary": template}, RECORD) == {"summary": expected}


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{valu}", "unknown field {valu}; did you mean {value}\\? known fields: value, threshold"),
        ("{}", "unknown field {}; known fields"),
        ("{0}", "unknown field {0}"),
        ("{labels.tem}", "unknown field {labels.tem}; did you mean {labels.team}\\?"),
        ("{labels}", "unknown field {labels}"),
        ("{value.real}", "unknown field {value.real}"),
        ("{value[0]}", "unknown field {value\\[0\\]}"),
        ("{value!r}", "{value!r}: fields are not converted; write {value}"),
        ("{value:999999999}", "expected a number's format such as .3f, .1% or ,.0f"),
        ("{value:.999f}", "expected a number's format"),
        ("{value:{threshold}}", "expected a number's format"),
        ("{value:d}", "expected a number's format"),
        ("{rule:>30}", "only numbers are written in a way of their own; write {rule}"),
        ("{value", "expected '}' before end of string; write a field as {value}"),
        ("value}", "Single '}' encountered"),
        ("x" * 1_001, "has 1,001 characters; write at most 1,000"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_before_the_first_event(template, told):
    with pytest.raises(ValueError, match=f"^annotations.summary: .*{told}"):
        check_fields("summary", template, LABELS)


PIECES = st.sampled_from(["{{", "}}", "a", " %", *(f"{{{field}}}" for field in FIELDS)])


@given(pieces=st.lists(PIECES), absent=st.sets(st.sampled_from(FIELDS[:5])))
def test_a_text_is_its_pieces_one_after_the_other_whatever_is_absent(pieces, absent):
    record = RECORD | dict.fromkeys(absent)
    check_fields("summary", "".join(pieces), LABELS)
    each = [rendered({"piece": piece}, record)["piece"] for piece in pieces]
    assert rendered({"whole": "".join(pieces)}, record) == {"whole": "".join(each)}
    assert all(rendered({"piece": f"{{{field}}}"}, record) == {"piece": "-"} for field in absent)
