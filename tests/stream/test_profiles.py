import math

import numpy as np
import pytest

from stream.events import User
from stream.input_settings import InputsConfig
from stream.profiles import Profile, ProfileReader, Profiles, versions
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

INPUTS = InputsConfig.model_validate(
    {"profile": {"words": 3, "values": 2, "attributes": {"age": "number"}}}
)


def profile_of(*events: User, inputs: InputsConfig = INPUTS) -> Profile:
    return versions(ProfileReader(inputs), events, None)[-1]


def at(profiles: Profiles, row: int, ts: int) -> list[int]:
    token_NP, _ = profiles.at(np.array([row], np.int32), np.array([ts]))
    return token_NP[0].tolist()


def test_words_values_and_declared_attributes_have_columns_of_their_own():
    profile = profile_of(User("ann", 5, "Tea and go", {"city": "Oslo", "age": 31}))
    assert (profile.token_P >= 0).tolist() == [True, True, True, True, False]
    assert profile.raw_R.tolist() == [31.0]
    assert profile.ts_ms == 5


def test_an_event_changes_what_it_names_and_nothing_else():
    both = profile_of(User("ann", 5, "tea", {"city": "Oslo", "age": 31}))
    text = profile_of(User("ann", 5, "tea", {"city": "Oslo", "age": 31}), User("ann", 6, "go"))
    there = profile_of(User("ann", 5, "tea"), User("ann", 6, None, {"city": "Oslo", "age": 31}))
    assert text.token_P[3:].tolist() == both.token_P[3:].tolist()
    assert text.token_P[0] != both.token_P[0]
    assert_same_bits(there.token_P, both.token_P)
    gone = profile_of(User("ann", 5, "tea", {"age": 31}), User("ann", 6, None, {"city": "Oslo"}))
    assert math.isnan(gone.raw_R[0]), "attributes are named all at once"


def test_an_event_that_is_earlier_than_what_is_known_says_nothing():
    late = versions(
        ProfileReader(INPUTS), [User("ann", 4, "go")], profile_of(User("ann", 5, "tea"))
    )
    assert [one.ts_ms for one in late] == [5]


def test_a_text_of_a_hundred_thousand_words_and_ten_thousand_attributes_fit():
    attributes = {f"a{n}": "x" * 10_000 for n in range(10_000)}
    profile = profile_of(User("ann", 5, " ".join(f"w{n}" for n in range(100_000)), attributes))
    assert (profile.token_P >= 0).all()
    assert len(profile.token_P) == 5


@pytest.mark.parametrize("age", ["31", math.nan, 1e300, [31], None, {"years": 31}])
def test_an_attribute_of_another_kind_than_declared_is_missing(age):
    profile = profile_of(User("ann", 5, None, {"age": age, "city": "Oslo"}))
    assert math.isnan(profile.raw_R[0])
    assert (profile.token_P >= 0).sum() == 1


def test_a_profile_is_known_after_it_was_told_and_not_at_that_instant():
    profiles, profile = Profiles(INPUTS), profile_of(User("ann", 5, "tea"))
    profiles.write(2, profile)
    assert at(profiles, 2, 5) == [-1] * 5
    assert at(profiles, 2, 6) == profile.token_P.tolist()
    assert at(profiles, 1, 6) == at(profiles, -1, 6) == at(profiles, 99, 6) == [-1] * 5


def test_what_is_erased_leaves_nothing_behind():
    profiles = Profiles(INPUTS)
    profiles.write(2, profile_of(User("ann", 5, "tea", {"age": 31, "city": "Oslo"})))
    profiles.erase(np.array([2, -1, 99], np.int32))
    assert at(profiles, 2, 6) == [-1] * 5
    assert profiles.of(2) is None
    assert not any(
        np.asarray(array).any()
        for array in profiles.state_dict().values()
        if not isinstance(array, int)
    )


class TestProfilesState(StatefulContract):
    @staticmethod
    def make() -> Profiles:
        return Profiles(INPUTS)

    @staticmethod
    def drive(stateful: Profiles, step: int) -> object:
        event = User("ann", step, f"word{step}", {"age": step, "city": step})
        stateful.write(3 * step % 7, profile_of(event))
        stateful.erase(np.array([step % 7], np.int32))
        return stateful.at(np.arange(-1, 9, dtype=np.int32), np.full(10, step))
