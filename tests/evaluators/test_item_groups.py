import numpy as np
import pytest
from pydantic import ValidationError

from evaluators.item_groups import GroupsConfig, ItemGroups
from stream.values import Record
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes


def groups_of(*categories: str | None, at_most: int = 64) -> ItemGroups:
    groups = ItemGroups(GroupsConfig(at_most=at_most))
    described = {row: {"category": name} for row, name in enumerate(categories)}
    groups.follow(make_changes(len(categories), described=described))
    return groups


def test_an_item_without_a_category_or_a_row_is_in_no_group():
    groups = groups_of("tea", None, "cups")
    assert groups.of(np.array([0, 1, 2, -1])).tolist() == [1, 0, 2, 0]


def test_groups_past_the_cap_are_one():
    groups = groups_of("a", "b", "c", "d", "other", "a", at_most=2)
    assert groups.of(np.arange(6)).tolist() == [1, 2, 3, 3, 3, 1]
    assert groups.names == ["", "a", "b", "other"]
    assert len(groups.names) <= groups.max_groups


def test_a_recycled_row_starts_without_group_and_clicks():
    groups = groups_of("tea", "cups")
    groups.count(np.array([0, 0, 1, -1], np.int32))
    assert (groups.clicks_V[:2].tolist(), groups.n_clicks) == ([2, 1], 3)
    groups.follow(make_changes(2, recycled=[0]))
    assert groups.of(np.array([0, 1])).tolist() == [0, 2]
    assert (groups.clicks_V[:2].tolist(), groups.n_clicks) == ([0, 1], 1)
    assert groups.generation_V[:2].tolist() == [1, 0]


def test_what_comes_with_the_newcomer_of_a_row_is_kept():
    groups = groups_of("tea")
    groups.follow(make_changes(1, recycled=[0], described={0: {"category": "cups"}}))
    assert groups.names[groups.of(np.array([0]))[0]] == "cups"


@pytest.mark.parametrize(
    ("attributes", "group"),
    [
        ({"brand": "acme"}, "acme"),
        ({"brand": ["zen", "acme"]}, "zen"),
        ({"brand": 7}, "7"),
        ({"brand": []}, ""),
        ({"brand": None}, ""),
        ({"brand": float("nan")}, ""),
        ({"brand": {"name": "acme"}}, ""),
        ({}, ""),
        (None, ""),
        ("brand", ""),
    ],
)
def test_an_attribute_may_name_the_group(attributes, group):
    groups = ItemGroups(GroupsConfig(by="brand"))
    told = {"category": "tea", "attributes": attributes}
    groups.follow(make_changes(1, described={0: told}))
    assert groups.names[groups.of(np.array([0]))[0]] == group


@pytest.mark.parametrize("bad", [{"by": ""}, {"at_most": 0}, {"at_most": 201}, {"field": "x"}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError):
        GroupsConfig.model_validate(bad)


class TestItemGroupsState(StatefulContract):
    make = staticmethod(lambda: ItemGroups(GroupsConfig(at_most=3)))

    @staticmethod
    def drive(groups: ItemGroups, step: int) -> Record:
        rng = np.random.default_rng(step)
        n_items = 4 * (step + 1)
        described = {int(row): {"category": f"c{row % 7}"} for row in rng.integers(0, n_items, 3)}
        groups.follow(make_changes(n_items, [int(rng.integers(0, n_items))], described=described))
        groups.count(rng.integers(-1, n_items, 20).astype(np.int32))
        rows = np.arange(-1, n_items)
        return {
            "groups": groups.of(rows),
            "clicks": groups.clicks_V[:n_items].copy(),
            "generations": groups.generation_V[:n_items].copy(),
            "names": list(groups.names),
            "n": groups.n_clicks,
        }
