import pytest

from stream.delivery.times import iso_time


@pytest.mark.parametrize(
    ("ts_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
        (10**17, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_has_four_digits_of_a_year_and_milliseconds(ts_ms, text):
    assert iso_time(ts_ms) == text
