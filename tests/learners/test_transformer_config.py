import pytest
from pydantic import ValidationError

from learners.transformer_config import TransformerConfig


def test_a_width_that_heads_cannot_share_is_refused_with_what_would_fit():
    with pytest.raises(ValidationError, match=r"width 10 must be a multiple of 2 x heads \(8\)"):
        TransformerConfig(width=10, heads=4)


def test_the_tower_is_as_wide_as_the_items_and_one_longer_than_a_history():
    shape = TransformerConfig(width=32, history_items=20, dropout=0.1).shape
    assert (shape.width, shape.positions, shape.dropout) == (32, 21, 0.1)


@pytest.mark.parametrize("temperature", [16.0, None])
def test_a_temperature_may_be_left_out(temperature):
    assert TransformerConfig(temperature=temperature).temperature == temperature


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"replay_ratio": -1}, {"objectiv": {}}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        TransformerConfig.model_validate(wrong)
