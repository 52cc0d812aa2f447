import numpy as np

from stream.id_hash import hash64
from stream.joining.item_hashes import ItemHashes


def test_items_have_their_hash_whether_they_have_a_row_or_not():
    hashes = ItemHashes()
    items, rows = ["a", "b", "a", "none"], np.array([4, 0, 4, -1], np.int32)
    expected = [hash64(item) for item in items]
    assert hashes.of(items, rows).tolist() == expected
    assert hashes.of(items, rows).tolist() == expected


def test_a_recycled_row_has_the_hash_of_its_new_item():
    hashes = ItemHashes()
    row = np.array([1], np.int32)
    hashes.of(["old"], row)
    hashes.forget(np.array([1, 7], np.int32))
    assert hashes.of(["new"], row).tolist() == [hash64("new")]
