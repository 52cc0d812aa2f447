import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from stream.durations import DurationMs
from stream.errors import ConfigError
from stream.settings import read_settings


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    events: PositiveInt = 256
    every: DurationMs = 60_000
    name: str = "a"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    inner: Inner = Inner()
    maybe: Inner | None = None
    ks: tuple[int, ...] = (1, 10)

    @model_validator(mode="after")
    def _ks_ascend(self):
        if list(self.ks) != sorted(self.ks):
            raise ValueError(f"expected ascending ks, got {list(self.ks)}")
        return self


@pytest.fixture
def path(tmp_path):
    return tmp_path / "freshrank.yaml"


def problems(path, overrides=()):
    with pytest.raises(ConfigError) as caught:
        read_settings(Outer, path, overrides)
    return str(caught.value).splitlines()


def test_without_a_file_all_is_default():
    assert read_settings(Outer, None) == Outer()


def test_an_empty_file_is_valid(path):
    path.write_text("# nothing yet\n")
    assert read_settings(Outer, path) == Outer()


def test_a_file_sets_keys(path):
    path.write_text("inner: {events: 8, every: 10m}\nks: [5]\n")
    assert read_settings(Outer, path) == Outer(inner=Inner(events=8, every=600_000), ks=(5,))


def test_an_override_wins_over_the_file_and_leaves_its_neighbours(path):
    path.write_text("inner: {events: 8, every: 10m}\n")
    settings = read_settings(Outer, path, ["inner.events=9"])
    assert settings.inner == Inner(events=9, every=600_000)


def test_the_last_override_wins():
    assert read_settings(Outer, None, ["inner.events=1", "inner.events=2"]).inner.events == 2


def test_an_override_may_be_a_list_or_a_group():
    settings = read_settings(Outer, None, ["ks=[1, 5]", "maybe={events: 3}"])
    assert settings == Outer(ks=(1, 5), maybe=Inner(events=3))


@given(st.text(string.printable, min_size=1).map(lambda text: text.replace("\r", "")))
def test_a_quoted_override_arrives_as_it_is(text):
    quoted = yaml.safe_dump(text, default_style='"', width=10**6).strip()
    assert read_settings(Outer, None, [f"inner.name={quoted}"]).inner.name == text


def test_a_misspelled_key_is_told_with_the_nearest(path):
    path.write_text("inner: {evnets: 8}\n")
    assert problems(path) == [f"{path}: inner.evnets: unknown key; did you mean 'events'?"]


def test_a_key_like_no_other_is_told_with_all_that_are_known(path):
    path.write_text("maybe: {zzz: 8}\n")
    [problem] = problems(path)
    assert problem == f"{path}: maybe.zzz: unknown key; known keys: events, every, name"


def test_every_problem_has_its_line(path):
    path.write_text("inner: {events: -1, every: soon}\nkss: [1]\n")
    events, every, ks = problems(path)
    assert events == f"{path}: inner.events: input should be greater than 0 (got -1)"
    assert every.startswith(f"{path}: inner.every: expected a duration with its unit")
    assert every.endswith("(got 'soon')")
    assert ks == f"{path}: kss: unknown key; did you mean 'ks'?"


def test_a_problem_of_an_override_names_set():
    [problem] = problems(None, ["inner.events=none"])
    assert problem.startswith("--set: inner.events: input should be a valid integer")


def test_an_override_without_a_value_is_refused():
    assert problems(None, ["inner.events"]) == [
        "--set inner.events: expected key=value, such as batch.events=512"
    ]


def test_an_override_below_a_value_is_refused(path):
    path.write_text("inner: 3\n")
    assert problems(path, ["inner.events=1"]) == ["--set inner.events=1: inner is no group of keys"]


def test_an_override_that_is_no_yaml_is_refused():
    assert problems(None, ["ks=[1, "]) == ["--set ks=[1, : the value is not YAML"]


def test_broken_yaml_is_told_with_its_place(path):
    path.write_text("inner: {events: 8\nks: [1]\n")
    [problem] = problems(path)
    assert problem.startswith(f"{path}:2:3: is not YAML: ")


def test_a_missing_file_is_told(path):
    assert problems(path) == [f"{path}: cannot be read: No such file or directory"]


def test_a_file_that_is_no_text_is_told(path):
    path.write_bytes(b"inner: \xff\n")
    assert problems(path) == [f"{path}: is not UTF-8 at byte 7; save it as UTF-8"]


def test_a_file_that_holds_a_list_is_told(path):
    path.write_text("- 1\n")
    assert problems(path) == [f"{path}: holds list, expected keys such as 'batch:' at the top"]


def test_a_rule_over_several_keys_is_told_without_the_whole_file(path):
    path.write_text("ks: [10, 1]\n")
    [problem] = problems(path)
    assert "expected ascending ks, got [10, 1]" in problem
    assert len(problem) < len(str(path)) + 100


def test_a_key_that_stands_twice_is_refused(path):
    path.write_text("inner: {events: 1}\nks: [1]\ninner: {events: 2}\n")
    assert problems(path) == [f"{path}:3:1: is not YAML: the key 'inner' stands there twice"]


def test_an_empty_group_of_keys_is_all_defaults(path):
    path.write_text("inner:\n")
    assert read_settings(Outer, path) == Outer()


def test_an_entry_of_a_list_is_set_by_its_number(tmp_path):
    path = tmp_path / "freshrank.yaml"
    path.write_text("rows: [{size: 1}, {size: 2}]\n")
    assert read_settings(Rows, path, ["rows.1.size=5"]).rows == (Row(size=1), Row(size=5))
    for key in ("rows.2.size=5", "rows.last.size=5"):
        with pytest.raises(ConfigError, match="expected the number of an entry, 0 to 1"):
            read_settings(Rows, path, [key])


class Row(BaseModel):
    size: int


class Rows(BaseModel):
    rows: tuple[Row, ...] = ()
