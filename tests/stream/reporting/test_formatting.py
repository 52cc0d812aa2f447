import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.reporting.formatting import (
    NOTHING,
    count_text,
    metric_title,
    plot_text,
    printable,
    span_text,
    time_text,
    value_text,
)

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("value", "metric", "expected"),
    [
        (0.0312, "ctr", "3.12 %"),
        (0.0312, "predicted_ctr", "3.12 %"),
        (1.25, "calibration_ratio", "1.250"),
        (float("nan"), "ctr", NOTHING),
        (None, "log_loss", NOTHING),
    ],
)
def test_rates_are_told_in_percent_and_what_is_missing_as_a_dash(value, metric, expected):
    assert value_text(value, metric) == expected


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [
        (0, "0 s"),
        (59_500, "59.5 s"),
        (60_000, "1 min"),
        (3_600_000, "1 h"),
        (DAY_MS + 60_000, "1 d"),
        (400 * DAY_MS + 7_200_000, "400 d 2 h"),
    ],
)
def test_a_length_of_time_is_told_by_its_two_largest_units(duration_ms, expected):
    assert span_text(duration_ms) == expected


def test_an_instant_is_told_in_utc():
    assert time_text(1_709_210_096_000) == "2024-02-29 12:34"


def test_an_instant_that_no_calendar_holds_is_still_told():
    assert time_text(10**17) == "100000000000000000 ms"


def test_a_count_has_its_thousands_apart():
    assert (count_text(1234567.0), count_text(None)) == ("1,234,567", NOTHING)


def test_a_metric_that_nobody_named_keeps_its_name():
    assert (metric_title("auc"), metric_title("recall@7")) == ("AUC", "recall@7")


@given(st.text(max_size=400))
def test_whatever_came_fits_on_a_line_and_prints(text):
    assert printable(text).isprintable()


def test_what_reorders_text_is_told_as_its_code():
    assert printable("a\u202eb") == "a\\u202eb"


@given(st.text(alphabet="<>&ab", max_size=20))
def test_text_in_a_plot_opens_no_tag(text):
    assert not set("<>") & set(plot_text(text))
