import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stream.durations import (
    WRITTEN_BY_PEOPLE,
    DurationMs,
    Span,
    SpanSetting,
    format_duration_ms,
    parse_duration_ms,
)


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


class Lasting(BaseModel):
    hold: SpanSetting = Span(time_ms=0)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", Span(time_ms=1_800_000)),
        (" 5000 events ", Span(events=5000)),
        ("50_000 events", Span(events=50_000)),
        ("1 event", Span(events=1)),
        ("0s", Span(time_ms=0)),
        ("0 events", Span(events=0)),
    ],
)
def test_a_span_is_a_duration_or_a_number_of_events(text, span):
    assert Lasting.model_validate({"hold": text}, context=WRITTEN_BY_PEOPLE).hold == span


@pytest.mark.parametrize(
    "value", ["", "10", 10, "-5m", "-5 events", "1.5 events", "events", "5 days ago", None, True]
)
def test_what_is_neither_is_refused_by_its_key(value):
    with pytest.raises(ValidationError, match="hold") as caught:
        Lasting.model_validate({"hold": value}, context=WRITTEN_BY_PEOPLE)
    assert "such as 30m or 7d, or a number of events, such as 5000 events" in str(caught.value)


@given(st.builds(Span, time_ms=st.integers(0, 10**12)) | st.builds(Span, events=st.integers(0)))
def test_every_span_survives_being_written(span):
    written = Lasting(hold=span).model_dump(mode="json")
    assert type(written["hold"]) is str
    assert Lasting.model_validate(written, context=WRITTEN_BY_PEOPLE).hold == span


@pytest.mark.parametrize(("time_ms", "events"), [(None, None), (1, 1), (-1, None), (None, -1)])
def test_a_span_is_measured_in_one_unit_and_not_negative(time_ms, events):
    with pytest.raises(ValueError, match="expected a time or a number of events, at least 0"):
        Span(time_ms=time_ms, events=events)


def test_a_span_is_measured_along_its_own_unit():
    assert Span(time_ms=10).along(ts_ms=700, n_events=3) == 700
    assert Span(events=10).along(ts_ms=700, n_events=3) == 3
