import numpy as np

from stream.joining.target_columns import TargetColumns
from stream.targets import MAX_GIVEN_TARGETS, Choice
from tests.conformance.stateful_contract import StatefulContract


def filled(*parts: dict) -> TargetColumns:
    """Parts of two items each, with the propensity 0.5, as `put` takes them."""
    columns = TargetColumns()
    for part in parts:
        first = columns.state_dict()["n_items"]
        columns.extend(2)
        columns.put(first, np.full(2, 0.5), part.get("choice"), part.get("given", {}))
    return columns


def given(value: float, name: str = "new") -> dict:
    return {"given": {name: np.array([value, value + 0.1])}}


def test_while_nobody_is_asked_about_nothing_is_held():
    columns = filled({}, {})
    assert columns.state_dict()["columns"] == []
    assert columns.targets(np.array([0, 3])) is None


def test_what_a_list_does_not_say_is_not_a_number():
    targets = filled({}, given(0.2), {}).targets(np.arange(6))
    nan = np.nan
    np.testing.assert_array_equal(targets.given_of["new"], [nan, nan, 0.2, 0.2 + 0.1, nan, nan])
    np.testing.assert_array_equal(targets.propensity_S, [nan, nan, 0.5, 0.5, nan, nan])
    assert targets.choice is None


def test_a_choice_comes_back_as_it_was_told():
    choice = Choice(np.array([0.25, 0.75]), np.array([0.1, 0.2]))
    found = filled({"choice": choice}).targets(np.array([1, 0]))
    assert found.choice.probability_S.tolist() == [0.75, 0.25]
    assert found.choice.click_S.tolist() == [0.2, 0.1]
    silent = filled({"choice": Choice(np.array([0.25, np.nan]))}).targets(np.arange(2))
    assert silent.choice.click_S is None


def test_what_is_kept_moves_with_its_items():
    columns = filled(given(0.1), given(0.5))
    columns.keep(np.array([1, 2]))
    columns.extend(1)
    columns.put(2, np.array([1.0]), None, {"new": np.array([0.9])})
    np.testing.assert_allclose(columns.targets(np.arange(3)).given_of["new"], [0.2, 0.5, 0.9])


def test_policies_past_the_cap_are_left_out_and_counted():
    columns = filled(*(given(0.1, f"p{n}") for n in range(MAX_GIVEN_TARGETS + 2)))
    found = columns.targets(np.arange(2 * MAX_GIVEN_TARGETS + 4))
    assert list(found.given_of) == [f"p{n}" for n in range(MAX_GIVEN_TARGETS)]
    assert columns.n_left_out == 4


class TestTargetColumns(StatefulContract):
    @staticmethod
    def make() -> "Versioned":
        return Versioned()

    @staticmethod
    def drive(columns: "Versioned", step: int) -> object:
        return columns.drive(step)


class Versioned:
    """The columns as their owner saves them, with the version that is the owner's."""

    def __init__(self) -> None:
        self.columns = TargetColumns()

    def drive(self, step: int) -> object:
        rng = np.random.default_rng(step)
        first = self.columns.state_dict()["n_items"]
        self.columns.extend(3)
        choice = Choice(rng.random(3), rng.random(3)) if step % 3 else None
        self.columns.put(first, rng.random(3), choice, {f"p{step}": rng.random(3)})
        if step % 2:
            self.columns.keep(np.arange(first, first + 3))
        return self.columns.targets(np.arange(3))

    def state_dict(self) -> dict:
        return {"schema_version": 1, "columns": self.columns.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.columns.load_state_dict(state["columns"])
