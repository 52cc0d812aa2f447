from itertools import pairwise

import pytest
from pydantic import TypeAdapter, ValidationError

from evaluators.mutes import Inhibition, Inhibitions, Mutes, Silence, Silences, check_mutes

LABELS_OF = {
    "diverged": {"alertname": "diverged", "severity": "page", "team": "ml"},
    "ctr_low": {"alertname": "ctr_low", "severity": "warning", "team": "shop"},
    "recall_low": {"alertname": "recall_low", "severity": "warning", "team": "ml"},
    "slow": {"alertname": "slow", "severity": "info"},
}
PLANNED = {"match": {"team": "shop"}, "from": 1_000, "until": 2_000, "comment": "a deploy"}


def muted_by(inhibition: dict, *firing: str) -> dict[str, list[str]]:
    """Which rules an inhibition mutes while some fire, and by what."""
    mutes = Mutes([Inhibition.model_validate(inhibition)], [], LABELS_OF)
    found = {rule: mutes.of(rule, firing, 0) for rule in LABELS_OF}
    return {rule: by for rule, by in found.items() if by}


def test_a_source_mutes_its_targets_while_it_fires():
    upstream = {"source": {"severity": "page"}, "target": {"severity": ["warning", "info"]}}
    by = ["alert:diverged"]
    assert muted_by(upstream, "diverged", "slow") == dict.fromkeys(
        ("ctr_low", "recall_low", "slow"), by
    )
    assert muted_by(upstream, "ctr_low") == {}


def test_equal_labels_must_be_alike():
    upstream = {"source": {"severity": "page"}, "target": {"severity": "warning"}}
    assert muted_by({**upstream, "equal": ["team"]}, "diverged") == {
        "recall_low": ["alert:diverged"]
    }


def test_a_label_that_both_lack_is_alike():
    both = {"source": {"severity": "info"}, "target": {"alertname": "other"}, "equal": ["team"]}
    labels_of = {**LABELS_OF, "other": {"alertname": "other"}}
    mutes = Mutes([Inhibition.model_validate(both)], [], labels_of)
    assert mutes.of("other", ["slow"], 0) == ["alert:slow"]


def test_rules_on_both_sides_mute_neither_themselves_nor_each_other():
    by_team = {"source": {"team": "ml"}, "target": {"team": "=~.+"}}
    assert muted_by(by_team, "diverged", "recall_low") == {
        "ctr_low": ["alert:diverged", "alert:recall_low"]
    }


def test_a_rule_that_is_on_one_side_only_mutes_one_that_is_on_both():
    inhibition = {"source": {"alertname": "=~.*_low"}, "target": {"team": "ml"}}
    assert muted_by(inhibition, "ctr_low")["recall_low"] == ["alert:ctr_low"]
    assert "recall_low" not in muted_by(inhibition, "recall_low")


def test_one_that_is_muted_mutes_others_all_the_same():
    chain = [
        {"source": {"alertname": "diverged"}, "target": {"alertname": "recall_low"}},
        {"source": {"alertname": "recall_low"}, "target": {"alertname": "ctr_low"}},
    ]
    mutes = Mutes([Inhibition.model_validate(one) for one in chain], [], LABELS_OF)
    firing = ["diverged", "recall_low"]
    assert mutes.of("ctr_low", firing, 0) == ["alert:recall_low"]


@pytest.mark.parametrize(
    ("ts_ms", "expected"),
    [(999, []), (1_000, ["silence:a deploy"]), (1_999, ["silence:a deploy"]), (2_000, [])],
)
def test_a_silence_holds_from_its_first_instant_to_just_before_its_last(ts_ms, expected):
    mutes = Mutes([], [Silence.model_validate(PLANNED)], LABELS_OF)
    assert mutes.of("ctr_low", [], ts_ms) == expected
    assert mutes.of("recall_low", [], ts_ms) == []


def test_a_silence_reads_back_as_it_was_written():
    silence = Silence.model_validate({**PLANNED, "until": "2024-01-01"})
    written = silence.model_dump(mode="json")
    assert written["from"] == "1970-01-01T00:00:01Z"
    assert Silence.model_validate(written) == silence


@pytest.mark.parametrize(
    ("silence", "told"),
    [
        ({"from": 2_000}, "from 1970-01-01T00:00:02Z is not before until 1970-01-01T00:00:02Z"),
        ({"till": 3}, "unknown key 'till'; did you mean 'until'"),
        ({"comment": ""}, "at least 1 character"),
        ({"comment": "two\nlines"}, "a few words on one line"),
        ({"from": "soon"}, "expected a time of the events"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(silence, told):
    with pytest.raises(ValidationError, match=told):
        Silence.model_validate(PLANNED | silence)


@pytest.mark.parametrize(
    ("inhibition", "told"),
    [
        (
            {"source": {"severity": "pge"}, "target": {"team": "ml"}},
            "inhibit.0.source: {severity: pge} matches no rule; compare it with the rules' labels",
        ),
        (
            {"source": {"severity": "page"}, "target": {"tema": "ml"}},
            "inhibit.0.target: {tema: ml} matches no rule; no rule has the label 'tema'; did you",
        ),
        (
            {"source": {"severity": "page"}, "target": {"team": "shop"}, "equal": ["tem"]},
            "inhibit.0.equal: no rule has the label 'tem', so that all are alike in it; did you",
        ),
    ],
)
def test_a_mute_that_meets_no_rule_is_refused(inhibition, told):
    with pytest.raises(ValueError, match="inhibit") as caught:
        check_mutes([Inhibition.model_validate(inhibition)], [], LABELS_OF)
    assert str(caught.value).startswith(told)


def test_a_silence_that_meets_no_rule_is_refused():
    silence = Silence.model_validate(PLANNED | {"match": {"alertname": "ctr_lo"}})
    with pytest.raises(ValueError, match=r"^silences.0.match: {alertname: ctr_lo} matches no rule"):
        check_mutes([], [silence], LABELS_OF)


def test_rules_that_mute_each_other_in_a_circle_are_refused():
    pairs = [("ctr_low", "recall_low"), ("recall_low", "slow"), ("slow", "ctr_low")]
    circle = [
        {"source": {"alertname": source}, "target": {"alertname": target}}
        for source, target in pairs
    ]
    inhibitions = [Inhibition.model_validate(one) for one in circle]
    check_mutes(inhibitions[:-1], [], LABELS_OF)
    with pytest.raises(ValueError, match="nobody would be told") as caught:
        check_mutes(inhibitions, [], LABELS_OF)
    told = str(caught.value).removeprefix("inhibit: ").partition(":")[0].split(" mutes ")
    assert told[0] == told[-1]
    assert sorted(pairwise(told)) == sorted(pairs)


def test_there_is_a_limit_to_how_many_mutes_are_kept():
    with pytest.raises(ValidationError, match="at most 1000"):
        TypeAdapter(Silences).validate_python([PLANNED] * 1_001)
    one = {"source": {"team": "ml"}, "target": {"team": "shop"}}
    with pytest.raises(ValidationError, match="at most 100"):
        TypeAdapter(Inhibitions).validate_python([one] * 101)
