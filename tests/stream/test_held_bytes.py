import numpy as np
import torch

from stream.held_bytes import held_bytes


def test_arrays_tensors_and_texts_count_by_their_bytes():
    state = {
        "array": np.zeros(3, np.int64),
        "tensors": [torch.zeros(2, 2), torch.zeros(1, dtype=torch.float16)],
        "text": "tée",
        "raw": b"12345",
        "nothing": None,
    }
    assert held_bytes(state) == 24 + 16 + 2 + 4 + 5


def test_numbers_count_as_what_holds_them():
    assert held_bytes({"n": 1, "x": 0.5, "is_on": True}) == 24
