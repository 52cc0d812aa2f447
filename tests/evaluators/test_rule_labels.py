import pytest
from pydantic import TypeAdapter, ValidationError

from evaluators.rule_labels import Labels, Matchers, Runbook, matchers_text, matches

LABELS = TypeAdapter(Labels)
MATCHERS = TypeAdapter(Matchers)
RUNBOOK = TypeAdapter(Runbook)
RULE = {"alertname": "ctr_drop", "severity": "page", "team": "shop"}


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        pytest.param({"team": "shop"}, True, id="equal"),
        pytest.param({"team": "search"}, False, id="another"),
        pytest.param({"team": "=shop"}, True, id="equal-written-out"),
        pytest.param({"team": "== shop"}, False, id="a-value-that-begins-with-an-operator"),
        pytest.param({"team": ["search", "shop"]}, True, id="any-of-several"),
        pytest.param({"team": []}, False, id="any-of-none"),
        pytest.param({"team": "!=shop"}, False, id="unequal"),
        pytest.param({"team": "!= search"}, True, id="unequal-to-another"),
        pytest.param({"alertname": "=~ctr_.*"}, True, id="expression"),
        pytest.param({"alertname": "=~ctr"}, False, id="the-expression-matches-all-of-it"),
        pytest.param({"alertname": "!~ctr_.*"}, False, id="expression-that-must-not"),
        pytest.param({"team": "shop", "severity": "info"}, False, id="all-of-them-must"),
        pytest.param({"place": ""}, True, id="a-label-that-is-absent-is-empty"),
        pytest.param({"place": "!=top"}, True, id="absent-is-unequal"),
        pytest.param({"place": "=~.+"}, False, id="absent-has-no-character"),
    ],
)
def test_matchers_pick_rules_out_by_their_labels(matchers, expected):
    assert matches(MATCHERS.validate_python(matchers), RULE) is expected


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"2nd": "x"}, "names of letters, digits and _"),
        ({"__name__": "x"}, "names of letters, digits and _"),
        ({"a" * 201: "x"}, "names of letters, digits and _"),
        ({"severity": "page"}, "severity is a label that every rule has by its own keys"),
        ({"team": ""}, "team: expected 1 to 200 characters on one line"),
        ({"team": "a\nb"}, "team: expected 1 to 200 characters on one line"),
        ({"team": "x" * 201}, "team: expected 1 to 200 characters on one line"),
        ({f"l{number}": "x" for number in range(33)}, "at most 32 labels, got 33"),
        ({"team": 7}, "should be a valid string"),
    ],
)
def test_labels_that_cannot_be_are_refused(written, told):
    with pytest.raises(ValidationError, match=told):
        LABELS.validate_python(written)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({}, "expected at least one label, such as {severity: page}"),
        ({"team": "=~(shop"}, "team: '\\(shop' is no regular expression: missing \\)"),
        ({"team": "x" * 201}, "team: expected at most 200 characters, got 201"),
        ({"team name": "shop"}, "names of letters, digits and _"),
    ],
)
def test_matchers_that_cannot_be_are_refused(written, told):
    with pytest.raises(ValidationError, match=told):
        MATCHERS.validate_python(written)


@pytest.mark.parametrize("place", ["https://wiki/recall?a=b#c", "HTTP://wiki", "docs/recall.md"])
def test_a_runbook_is_an_address_or_a_path(place):
    assert RUNBOOK.validate_python(place) == place


@pytest.mark.parametrize("place", ["javascript:alert(1)", "ftp://wiki", "", " ", "a\nb"], ids=repr)
def test_a_runbook_that_leads_nowhere_is_refused(place):
    with pytest.raises(ValidationError, match="begins with https:// or http://, or a path"):
        RUNBOOK.validate_python(place)


def test_matchers_are_told_as_they_are_written():
    assert matchers_text({"alertname": "=~ctr.*"}) == "{alertname: =~ctr.*}"
