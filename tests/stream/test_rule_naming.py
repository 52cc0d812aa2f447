import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from stream.rule_naming import RuleName, refuse_unknown_keys, rule_title


class Rule(BaseModel):
    name: str
    for_: str = Field(default="0s", alias="for")


@pytest.mark.parametrize("name", ["recall_low", "a", "9-lives", "x" * 100])
def test_a_name_that_may_stand_in_a_file_is_taken(name):
    assert TypeAdapter(RuleName).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "Recall", "recall low", "../up", "ümlaut", "a\n", "x" * 101])
def test_any_other_name_is_refused(name):
    with pytest.raises(ValidationError, match="such as recall_low"):
        TypeAdapter(RuleName).validate_python(name)


def test_a_rule_without_a_proper_name_is_called_a_rule():
    assert rule_title("recall_low") == "rule recall_low"
    assert rule_title(7) == "rule"


def test_an_unknown_key_names_the_nearest_as_it_is_written():
    with pytest.raises(ValueError, match="rule r: unknown key 'fro'; did you mean 'for'"):
        refuse_unknown_keys(Rule, {"name": "r", "fro": "10m"})


def test_a_key_near_to_none_names_them_all():
    with pytest.raises(ValueError, match="known keys: name, for"):
        refuse_unknown_keys(Rule, {"name": "r", "zzz": 1})


@pytest.mark.parametrize("written", [{"name": "r", "for": "10m"}, {}, "no rule", None])
def test_what_is_not_a_mapping_or_has_known_keys_is_left_to_the_fields(written):
    refuse_unknown_keys(Rule, written)
