"""Texts into vectors, by a pretrained encoder that stays as it is or learns by adapters.

# N texts, T tokens, E length of a vector

The vector of a text is the mean of the encoder's last states over its tokens [1]_, of length 1.

References
----------
.. [1] Reimers, Gurevych. Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks. EMNLP
   2019.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer

from learners.lora import Adapters, LoraConfig, add_adapters
from learners.pretrained import fingerprint, first_line, load_model, pretrained_folder
from stream.errors import ConfigError

SETTING = "learner.content.text_encoder"
MAX_TOKENS = 64
_TEXTS_A_PART = 32


class TextEncoder:
    """An encoder from a folder, on the CPU in fp32: the same bits wherever the rest runs.

    Parameters
    ----------
    name : str
        A folder that `transformers.AutoModel` reads, with its tokenizer; or `minilm`, a small
        English one that comes as a package.
    lora : LoraConfig, optional
        Adapters to learn by.

    Raises
    ------
    ConfigError
        If there is no such folder or package, or if what it holds is no text encoder.
    """

    def __init__(self, name: str, lora: LoraConfig | None = None) -> None:
        folder = pretrained_folder(name, SETTING)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = load_model(folder)
            self.width = len(self._encode(["a"])[0])
        except Exception as err:  # whatever a foreign folder makes them raise
            raise ConfigError(
                f"{SETTING}: {folder} holds no text encoder that transformers "
                f"can read ({first_line(err)}); expected config.json, the weights and the "
                "tokenizer of an AutoModel"
            ) from err
        self.base_fingerprint = fingerprint(folder)
        self.adapters = Adapters()
        if lora is not None:
            self.adapters = add_adapters(self._model, lora, "learner.content.lora")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """The vector of each text, shape (N, E); zeros for an empty one."""
        vector_NE = np.zeros((len(texts), self.width), np.float16)
        filled = [n for n, text in enumerate(texts) if text.strip()]
        for first in range(0, len(filled), _TEXTS_A_PART):
            part = filled[first : first + _TEXTS_A_PART]
            vector_NE[part] = self._encode([texts[n] for n in part])
        return vector_NE

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, at most 64; none of an empty one."""
        settings = {"truncation": True, "max_length": MAX_TOKENS}
        return [
            self._tokenizer(text, **settings)["input_ids"] if text.strip() else [] for text in texts
        ]

    def vectors(self, tokens: Sequence[Sequence[int]], is_learning: bool) -> Tensor:
        """The vectors of texts of at least one token each, shape (N, E).

        With what the adapters need to learn, and the dropout of model and adapters, where it is
        learning.
        """
        length_N = torch.tensor([len(one) for one in tokens])
        id_NT = torch.zeros(len(tokens), int(length_N.max()), dtype=torch.int64)
        for row_T, one in zip(id_NT, tokens, strict=True):
            row_T[: len(one)] = torch.tensor(one)
        is_token_NT = (torch.arange(id_NT.shape[1]) < length_N[:, None]).long()
        with torch.inference_mode(mode=not is_learning):
            self._model.train(mode=is_learning)
            try:
                return self._mean(input_ids=id_NT, attention_mask=is_token_NT)
            finally:
                self._model.train(mode=False)

    def _encode(self, texts: list[str]) -> NDArray[np.float16]:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            vector_NE: NDArray[np.float16] = self._mean(**tokens).half().numpy()
        return vector_NE

    def _mean(self, **tokens: Tensor) -> Tensor:
        state_NTE = self._model(**tokens).last_hidden_state
        is_token_NT1 = tokens["attention_mask"][..., None]
        mean_NE = (state_NTE * is_token_NT1).sum(dim=1) / is_token_NT1.sum(dim=1)
        return functional.normalize(mean_NE, dim=-1)
