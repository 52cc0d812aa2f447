import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.field_columns import FieldColumns, circled
from stream.input_settings import InputsConfig
from stream.running_moments import RunningMoments

DECLARED = {
    "device": "category",
    "load": "number",
    "price": {"kind": "number", "scale": "sizes"},
    "wind": {"kind": "cycle", "period": 360},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=5), one, max_size=4),
    max_leaves=8,
)


def fields(declared: dict[str, object] = DECLARED) -> FieldColumns:
    config = InputsConfig.model_validate({"context": declared})
    return FieldColumns(config.context, "context", 1_000)


def scaled(columns: FieldColumns, raw_NR: np.ndarray) -> np.ndarray:
    moments = RunningMoments(columns.n_raw)
    moments.add(raw_NR)
    return columns.scaled(raw_NR, moments)


def test_what_was_not_declared_is_left_out():
    assert fields().checked({"device": "phone", "item": "i7", "clicked": True}) == {
        "device": "phone"
    }
    assert fields().checked({"item": "i7"}) is None
    assert fields().checked(None) is None


def test_a_category_has_a_token_for_each_value_whatever_its_type():
    columns = fields({"slot": "category"})
    told = [columns.checked({"slot": value}) for value in ("3", 3, "4", True, None)]
    token_NJ, _ = columns.columns(told)
    assert token_NJ[0] == token_NJ[1]
    assert len(set(token_NJ[1:4, 0].tolist())) == 3
    assert token_NJ[4] == -1


def test_fields_of_one_value_have_tokens_of_their_own():
    columns = fields({"from": "category", "to": "category"})
    token_NJ, _ = columns.columns([{"from": "Oslo", "to": "Oslo"}])
    assert token_NJ[0, 0] != token_NJ[0, 1]


def test_sizes_share_a_token_with_their_like():
    columns = fields({"price": {"kind": "number", "scale": "sizes"}})
    prices = [49.9, 50.1, 80.0, 0.0, -50.0]
    token_NJ, raw_NR = columns.columns([columns.checked({"price": price}) for price in prices])
    assert token_NJ[0] == token_NJ[1]
    assert len(set(token_NJ[1:, 0].tolist())) == 4
    assert raw_NR.shape == (5, 0)


def test_a_cycle_ends_where_it_begins():
    columns = fields({"wind": {"kind": "cycle", "period": 360}})
    _, raw_NR = columns.columns([columns.checked({"wind": w}) for w in (0, 360, -90, 270, 180)])
    found = scaled(columns, raw_NR)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[2], found[3], atol=1e-6)
    assert np.abs(found[0] - found[4]).max() > 1


def test_missing_numbers_are_zero_on_every_scale():
    columns = fields()
    _, raw_NR = columns.columns([{"load": 3.0, "wind": 10.0}, None, {"load": 5.0}])
    found = scaled(columns, raw_NR)
    assert found.shape == (3, 7)
    assert not found[1].any()
    assert found[[0, 2], 0].tolist() == [-1.0, 1.0]
    assert not found[2, 1:].any()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("load", "high", "a finite number within ±1e+15, got str 'high'"),
        ("load", "3", "a finite number within ±1e+15, got str '3'"),
        ("load", math.nan, "a finite number within ±1e+15, got float 'nan'"),
        ("load", math.inf, "a finite number within ±1e+15, got float 'inf'"),
        ("load", -1e300, "a finite number within ±1e+15, got float '-1e+300'"),
        ("load", 10**30, "a finite number within ±1e+15, got int '1000"),
        ("load", True, "a finite number within ±1e+15, got bool 'True'"),
        ("price", [3], "a finite number within ±1e+15, got list '[3]'"),
        ("device", {"os": "x"}, "a text or a number, got dict"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_and_left_out(caplog, name, value, expected):
    with caplog.at_level(logging.WARNING, "freshrank.inputs"):
        found = fields().checked({name: value, "wind": 90})
    assert found == {"wind": 90.0}
    assert f"context.{name} is not used, for the 1. time: expected {expected}" in caplog.text


def test_a_field_that_is_wrong_each_time_is_told_now_and_then(caplog):
    columns = fields()
    with caplog.at_level(logging.WARNING, "freshrank.inputs"):
        for _ in range(1_000):
            columns.checked({"load": "x" * 10_000})
    assert len(caplog.records) == 10
    assert "for the 512. time" in caplog.text
    assert len(caplog.text) < 5_000


def test_a_text_of_ten_thousand_letters_is_held_in_sixty_four():
    found = fields().checked({"device": "x" * 10_000})
    assert found == {"device": "x" * 64}


@given(told=st.dictionaries(st.sampled_from([*DECLARED, "other"]), JSON))
def test_whatever_a_request_carries_has_columns_of_finite_numbers(told):
    columns = fields()
    token_NJ, raw_NR = columns.columns([columns.checked(told)])
    assert ((token_NJ >= -1) & (token_NJ < 1_000)).all()
    assert np.isfinite(scaled(columns, raw_NR)).all()


@given(turns=st.floats(-1e6, 1e6), whole=st.integers(-1_000, 1_000))
def test_whole_turns_change_nothing(turns, whole):
    here, there = circled(np.array([turns, turns + whole]))
    np.testing.assert_allclose(here, there, atol=1e-6)
