import datetime
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stream.catalogue import Catalogue, CatalogueConfig
from stream.checkpoint_snapshot import take_snapshot
from stream.events import Item
from stream.id_hash import hash32
from tests.conformance.stateful_contract import StatefulContract

ITEMS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


def catalogue_of(max_items: int = 10, min_count: int = 1) -> Catalogue:
    return Catalogue(CatalogueConfig(max_items=max_items, min_count=min_count))


@given(st.lists(ITEMS, max_size=8), st.integers(1, 4))
def test_an_item_is_admitted_with_the_batch_of_its_nth_click(batches, min_count):
    catalogue, clicks = catalogue_of(min_count=min_count), Counter()
    for batch in batches:
        catalogue.admit(batch, [])
        clicks.update(batch)
        for item in "abcdefgh":
            assert (catalogue.rows([item])[0] >= 0) == (clicks[item] >= min_count)


@given(st.lists(ITEMS, max_size=12), st.integers(1, 5))
def test_all_rows_are_live_and_none_is_given_twice(batches, max_items):
    catalogue = catalogue_of(max_items=max_items)
    for batch in batches:
        catalogue.admit(batch, [])
        rows = catalogue.rows(list("abcdefgh"))
        known = sorted(rows[rows >= 0].tolist())
        assert known == list(range(len(catalogue)))
        assert len(catalogue) <= max_items
        assert catalogue.tie_hash_V.tolist() == [hash32(name) for name in catalogue.ids]


def test_an_upsert_admits_an_item_that_nobody_clicked():
    catalogue = catalogue_of(min_count=5)
    catalogue.admit([], [Item(item="a", ts=1, title="A kettle", category="kitchen")])
    assert catalogue.rows(["a"]).tolist() == [0]
    assert catalogue.metadata(0) == {"title": "A kettle", "category": "kitchen"}


def test_a_later_upsert_changes_what_it_names_and_keeps_the_rest():
    catalogue = catalogue_of()
    catalogue.admit([], [Item(item="a", ts=1, title="old", category="kitchen")])
    catalogue.admit([], [Item(item="a", ts=2, title="new")])
    assert catalogue.metadata(0) == {"title": "new", "category": "kitchen"}


def test_what_is_known_now_of_the_items_that_events_are_about_is_told_by_row():
    catalogue = Catalogue(CatalogueConfig(max_items=2))
    catalogue.admit([], [Item("i1", 0, title="old", category="kitchen"), Item("i2", 0)])
    again = [Item("i1", 1, title="new"), Item("i1", 2, text="a kettle"), Item("i2", 1)]
    catalogue.admit([], again)
    told = {"title": "new", "category": "kitchen", "text": "a kettle"}
    assert catalogue.described([*again, Item("unknown", 1, title="x")]) == {0: told}


def test_a_recycled_row_has_no_metadata():
    catalogue = catalogue_of(max_items=1)
    catalogue.admit([], [Item(item="a", ts=1, title="A kettle")])
    assert catalogue.admit(["b"], []).tolist() == [0]
    assert catalogue.metadata(0) == {}


def test_metadata_of_any_kind_can_be_stored():
    catalogue = catalogue_of()
    odd = {"huge": 10**30, "when": datetime.date(2024, 1, 31), "deep": [{"x": float("inf")}]}
    catalogue.admit([], [Item(item="a", ts=1, attributes=odd)])
    take_snapshot(catalogue.state_dict())
    assert catalogue.metadata(0)["attributes"]["huge"] == 10**30
    assert catalogue.metadata(0)["attributes"]["when"] == "2024-01-31"


def test_a_text_as_long_as_a_book_is_kept_at_its_beginning():
    catalogue = catalogue_of()
    catalogue.admit([], [Item(item="a", ts=1, title="kettle", text="steam " * 100_000)])
    assert catalogue.metadata(0) == {"title": "kettle", "text": ("steam " * 100_000)[:8_192]}


def test_waiting_items_are_bounded():
    catalogue = catalogue_of(max_items=3, min_count=2)
    catalogue.admit([f"i{n}" for n in range(50)], [])
    assert catalogue.state_dict()["waiting_id"] == ["i47", "i48", "i49"]


class TestCatalogueState(StatefulContract):
    @staticmethod
    def make() -> Catalogue:
        return catalogue_of(max_items=5, min_count=2)

    @staticmethod
    def drive(stateful: Catalogue, step: int) -> object:
        upserts = [Item(item=f"u{step}", ts=1, title=f"title {step}")]
        recycled = stateful.admit([f"i{step}", f"i{step // 2}", "hit"], upserts)
        return recycled.tolist(), list(stateful.ids), stateful.generation_V.tolist()
