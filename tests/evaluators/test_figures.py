from evaluators.figures import as_record
from stream.values import Reading


def test_a_window_without_a_sample_is_left_out():
    assert as_record({"total": Reading(1.0, 3), "events": None}) == {
        "total": 1.0,
        "samples": {"total": 3},
    }


def test_a_figure_without_any_sample_is_empty():
    assert as_record({"total": None, "events": None}) == {}
