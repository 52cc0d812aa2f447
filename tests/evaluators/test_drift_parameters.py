import inspect

import pytest
from river import drift

from evaluators.drift_parameters import (
    AdwinParameters,
    KswinParameters,
    PageHinkleyParameters,
    nearest_detector,
    parameters_of,
)


@pytest.mark.parametrize(
    ("ours", "rivers", "apart"),
    [
        (AdwinParameters, drift.ADWIN, {}),
        (KswinParameters, drift.KSWIN, {"seed": (0, None), "window": (None, None)}),
        (PageHinkleyParameters, drift.PageHinkley, {"mode": (None, "both")}),
    ],
)
def test_names_and_defaults_are_rivers_but_for_what_is_told(ours, rivers, apart):
    """A draw must be the same in every replay; a start is in the state, a side in the rule."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(rivers.__init__).parameters.items()
        if name != "self"
    }
    expected = ours().model_dump() | {
        name: theirs for name, (_, theirs) in apart.items() if name in defaults
    }
    assert expected == defaults
    assert {name: getattr(ours(), name, None) for name in apart} == {
        name: own for name, (own, _) in apart.items()
    }


def test_what_was_not_written_has_its_default():
    assert parameters_of("adwin", {"delta": 0.01}) == AdwinParameters(delta=0.01)
    assert parameters_of("kswin", None) == KswinParameters()
    assert parameters_of("page_hinkley", {}).threshold == 50.0


@pytest.mark.parametrize(
    ("detector", "written", "told"),
    [
        ("adwin", {"dleta": 0.1}, "parameters: adwin has no 'dleta'; did you mean 'delta'?"),
        ("kswin", {"x": 1}, "parameters: kswin has no 'x'; it has alpha, window_size, stat_size, "),
        ("kswin", {"threshold": 1}, "parameters: kswin has no 'threshold'; it has alpha, "),
        ("page_hinkley", {"mode": "up"}, "parameters: instead of mode, write the rule's direction"),
        ("adwin", {"delta": 0}, "parameters: delta: input should be greater than 0, got 0"),
        ("adwin", {"max_buckets": 1000}, "parameters: max_buckets: input should be less than or"),
        ("kswin", {"window_size": 10**9}, "parameters: window_size: input should be less than or"),
        ("kswin", {"window_size": 59}, "parameters: window_size 59 must be at least twice stat_"),
        ("page_hinkley", {"alpha": 1.5}, "parameters: alpha: input should be less than or equal"),
        ("page_hinkley", {"threshold": "high"}, "parameters: threshold: input should be a valid"),
    ],
)
def test_what_a_detector_cannot_use_is_refused_by_name(detector, written, told):
    with pytest.raises(ValueError, match="parameters") as caught:
        parameters_of(detector, written)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("name", "nearest"), [("ADWIN2", "adwin"), ("ks-win", "kswin"), ("pagehinkley", "page_hinkley")]
)
def test_an_unknown_detector_gets_the_nearest_one(name, nearest):
    assert nearest_detector(name) == nearest
