import numpy as np
import pytest
import torch

from learners.item_content import ItemContent, ItemContentConfig
from tests.conformance.stateful_contract import StatefulContract
from tests.stream_values import make_changes

CPU = torch.device("cpu")
CONFIG = ItemContentConfig(tokens=3, token_buckets=1_000, vectors={"image": 2, "sound": 3})


def content_of(described: dict, n_items: int = 3) -> ItemContent:
    content = ItemContent(CONFIG)
    content.follow(make_changes(n_items, described=described))
    return content


def bags_of(content: ItemContent) -> list[list[int]]:
    bags = content.bags(CPU)
    ends = [*bags.starts_V.tolist()[1:], len(bags.bucket_N)]
    return [bags.bucket_N[a:b].tolist() for a, b in zip(bags.starts_V.tolist(), ends, strict=True)]


def test_without_metadata_there_is_nothing():
    content = content_of({})
    assert content.bags(CPU) is None
    assert not content.dense(CPU).any()
    assert ItemContent(ItemContentConfig()).dense(CPU) is None


def test_items_with_a_word_in_common_share_a_bucket():
    one, nothing, other = bags_of(content_of({0: {"title": "red shoes"}, 2: {"title": "red hat"}}))
    assert (len(one), nothing, len(other)) == (2, [], 2)
    assert one[0] == other[0]


def test_what_is_said_anew_replaces_what_was_said():
    content = content_of({0: {"title": "red shoes"}, 1: {"title": "hat"}})
    _, kept, _ = bags_of(content)
    content.follow(make_changes(4, described={0: {"title": "hat"}}))
    assert bags_of(content) == [kept, kept, [], []]


def test_a_recycled_row_says_nothing_of_the_item_before():
    content = content_of({0: {"title": "red", "vectors": {"image": [1.0, 0.0]}}, 1: {"title": "x"}})
    content.follow(make_changes(3, recycled=[0]))
    assert bags_of(content)[0] == []
    assert not content.dense(CPU).any()


def test_each_vector_has_length_one_and_a_place_of_its_own():
    content = content_of({1: {"vectors": {"sound": [0, 3, 4], "image": [2, 0], "other": [1]}}})
    np.testing.assert_allclose(content.dense(CPU)[1], [1, 0, 0, 0.6, 0.8], rtol=1e-3)


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [float("nan"), 1.0], [1e308, 1e308]])
def test_a_vector_that_cannot_be_used_is_told_and_left_out(vector, caplog):
    content = content_of({1: {"vectors": {"image": vector}}})
    assert not content.dense(CPU).any()
    assert "'image'" in caplog.text


def drive(content: ItemContent, step: int):
    told = {"title": f"hat {step}", "vectors": {"sound": [1, 2, step]}}
    content.follow(make_changes(4 + step, recycled=[step % 2], described={2 + step: told}))
    return content.dense(CPU).numpy(), bags_of(content)


class TestItemContentIsStateful(StatefulContract):
    make = staticmethod(
        lambda: content_of({0: {"title": "red"}, 1: {"vectors": {"image": [1, 2]}}})
    )
    drive = staticmethod(drive)
