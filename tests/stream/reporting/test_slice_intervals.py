import pytest

from evaluators.confidence import share_interval
from stream.reporting.slice_intervals import slice_interval, slices_apart
from tests.stream.reporting.runs_in_memory import run_of


def recall(value, n_samples):
    return {"recall@20": {"total": value, "samples": {"total": n_samples}}}


def run_with(slices):
    return run_of([], summary={"metrics": recall(0.3, 10_000), "slices": slices})


def test_a_share_of_samples_has_wilson_s_interval():
    parts = recall(0.3, 50)["recall@20"]
    assert slice_interval("recall@20", parts, "total") == share_interval(15, 50)


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("log_loss", {"total": 0.3, "samples": {"total": 50}}),
        ("ctr", {"total": 0.3}),
        ("ctr", {"total": 0.3, "samples": {"total": 0}}),
        ("ctr", {"total": 3.0, "samples": {"total": 50}}),
        ("ctr", {"total": "high", "samples": {"total": 50}}),
        ("ctr", None),
    ],
)
def test_what_is_no_share_of_samples_has_none(metric, parts):
    assert slice_interval(metric, parts, "total") is None


def test_slices_beyond_chance_are_named_on_either_side():
    run = run_with({"new": recall(0.1, 900), "known": recall(0.5, 900), "rare": recall(0.1, 9)})
    assert slices_apart(run, "recall@20") == {
        "below overall": ["new (0.100)"],
        "above overall": ["known (0.500)"],
    }


def test_among_many_slices_more_is_asked_of_each():
    doubtful = {"doubtful": recall(0.23, 200)}
    others = {f"s{n}": recall(0.3, 200) for n in range(200)}
    wide = slice_interval("recall@20", doubtful["doubtful"]["recall@20"], "total", 0.05 / 201)
    narrow = slice_interval("recall@20", doubtful["doubtful"]["recall@20"], "total", 0.05)
    assert narrow[1] < 0.3 < wide[1]
    assert slices_apart(run_with(doubtful | others), "recall@20") == {}


def test_without_slices_nothing_is_apart():
    assert slices_apart(run_with({}), "recall@20") == {}
    assert slices_apart(run_of([], summary={"slices": 7}), "recall@20") == {}
