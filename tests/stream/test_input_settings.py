import pytest
from pydantic import ValidationError

from stream.config import FreshrankConfig
from stream.errors import ConfigError
from stream.input_settings import InputsConfig
from stream.settings import read_settings


def test_nothing_is_read_unless_it_is_declared():
    inputs = InputsConfig()
    assert not inputs.is_on
    assert not inputs.reads_profiles
    assert (inputs.n_tokens, inputs.n_numbers) == (0, 0)


def test_the_columns_are_those_of_the_profile_then_those_of_the_request_then_the_clock():
    inputs = InputsConfig.model_validate(
        {
            "context": {
                "device": "category",
                "load": "number",
                "price": {"kind": "number", "scale": "sizes"},
                "wind": {"kind": "cycle", "period": 360},
            },
            "clock": ["day", "week"],
            "profile": {
                "words": 3,
                "values": 2,
                "attributes": {"age": "number", "sex": "category"},
            },
        }
    )
    assert inputs.token_blocks == ((0, 3), (3, 5), (5, 6), (6, 7), (7, 8))
    assert (inputs.n_profile_tokens, inputs.n_tokens) == (6, 8)
    assert (inputs.n_profile_numbers, inputs.n_numbers) == (1, 1 + 1 + 6 + 12)
    assert inputs.is_on
    assert inputs.reads_profiles


@pytest.mark.parametrize(
    "declared",
    [
        {"clock": ["day"]},
        {"context": {"device": "category"}},
        {"context": {"load": "number"}},
        {"profile": {"words": 1}},
        {"profile": {"attributes": {"age": "number"}}},
    ],
)
def test_any_declaration_turns_inputs_on(declared):
    assert InputsConfig.model_validate(declared).is_on


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"context": {"wind": "cycle"}}, "a cycle needs its period: got period None"),
        (
            {"context": {"load": {"kind": "number", "period": 3}}},
            "a number has no period: got period 3.0",
        ),
        ({"context": {"load": "numeric"}}, "'category', 'number' or 'cycle'"),
        ({"clock": ["day", "day"]}, "clock: each cycle once, got day, day"),
        ({"profile": {"words": -1}}, "greater than or equal to 0"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(declared, told):
    with pytest.raises(ValidationError, match=told):
        InputsConfig.model_validate(declared)


def test_a_misspelled_key_is_named_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"inputs.clocks: unknown key; did you mean 'clock'\?"):
        read_settings(FreshrankConfig, None, ["inputs.clocks=[day]"])


def test_fields_can_be_set_one_by_one():
    settings = ["inputs.context.device=category", "inputs.context.load={kind: number}"]
    context = read_settings(FreshrankConfig, None, settings).inputs.context
    assert {name: field.kind for name, field in context.items()} == {
        "device": "category",
        "load": "number",
    }
