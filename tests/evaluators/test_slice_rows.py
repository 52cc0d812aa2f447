import numpy as np
import pytest
from pydantic import ValidationError

from evaluators.slice_rows import SliceRows, SlicesConfig
from tests.conformance.stateful_contract import StatefulContract


def names_of(rows: SliceRows, row_N: np.ndarray) -> list[str | None]:
    return [None if row < 0 else rows.names[row] for row in row_N.tolist()]


def test_places_further_down_share_a_slice():
    rows = SliceRows(SlicesConfig())
    places = np.array([1, 2, 3, 4, 5, 6, 10, 11, 900], np.int32)
    assert [name.removeprefix("place=") for name in names_of(rows, rows.of_places(places))] == [
        *("1", "2", "3", "4-5", "4-5", "6-10", "6-10", "11+", "11+")
    ]


def test_items_are_new_up_to_some_clicks():
    rows = SliceRows(SlicesConfig(new_item_clicks=3))
    assert names_of(rows, rows.of_items(np.array([0, 2, 3]))) == [
        *("item=new", "item=new", "item=known")
    ]


def test_histories_are_told_apart_by_their_length():
    rows = SliceRows(SlicesConfig(history=(1, 4)))
    assert names_of(rows, rows.of_histories(np.array([0, 1, 3, 4]))) == [
        *("history=0", "history=1-3", "history=1-3", "history=4+")
    ]


def test_values_past_the_cap_are_one_slice():
    rows = SliceRows(SlicesConfig(context=("device", "page"), at_most=2))
    told = [{"device": name} for name in ("tv", "pc", "car", "other", "tv", "fridge")]
    found = names_of(rows, rows.of_contexts("device", [*told, None, {"page": "home"}]))
    assert found == [
        *(f"context.device={name}" for name in ("tv", "pc", "other", "other", "tv", "other")),
        *(None, None),
    ]
    assert names_of(rows, rows.of_contexts("page", [{"page": "home"}])) == ["context.page=home"]


def test_where_no_request_carried_anything_there_is_no_slice():
    rows = SliceRows(SlicesConfig(context=("device",)))
    assert rows.of_contexts("device", None).tolist() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"history": (5, 1)},
        {"context": ("a", "a")},
        {"context": ("",)},
        {"context": ("a", "b", "c", "d", "e")},
        {"at_most": 0},
        {"new_item_clicks": 0},
        {"by": "device"},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError):
        SlicesConfig.model_validate(bad)


class TestSliceRowsState(StatefulContract):
    make = staticmethod(lambda: SliceRows(SlicesConfig(context=("device", "page"), at_most=3)))

    @staticmethod
    def drive(rows: SliceRows, step: int) -> object:
        told = [{"device": f"d{step % 4}", "page": f"p{step}"}, {"page": f"p{step // 2}"}, None]
        return [rows.of_contexts(field, told) for field in rows.fields], list(rows.names)
