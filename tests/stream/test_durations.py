import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stream.durations import DurationMs, format_duration_ms, parse_duration_ms


class Waiting(BaseModel):
    patience: DurationMs = 0


@given(st.integers(0, 10**12))
def test_every_duration_survives_being_written(duration_ms):
    assert parse_duration_ms(format_duration_ms(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("1.5s", 1500), ("2 h", 7_200_000), (" 7d ", 604_800_000), ("1w", 604_800_000), (250, 250)],
)
def test_people_write_durations_with_a_unit(text, duration_ms):
    assert parse_duration_ms(text) == duration_ms


@pytest.mark.parametrize("value", ["", "10", "10 parsecs", "-1s", -1, True, None, 1.5, "1s 2ms"])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="duration"):
        parse_duration_ms(value)


def test_a_model_reads_and_writes_text():
    waiting = Waiting.model_validate({"patience": "10m"})
    assert waiting.patience == 600_000
    assert waiting.model_dump() == {"patience": "10m"}


def test_a_model_names_the_field_of_a_bad_duration():
    with pytest.raises(ValidationError, match="patience"):
        Waiting.model_validate({"patience": "soon"})
