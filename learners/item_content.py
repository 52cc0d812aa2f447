"""What is known of each item beside its clicks, by row: its tokens, and vectors made elsewhere.

# V items in use, L tokens of an item, E length of all dense vectors of an item, N tokens of all,
# H buckets in use
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor

from learners.lora import Adapters, LoraConfig
from learners.pretrained import check_base
from learners.text_encoder import SETTING, TextEncoder
from learners.tuned_texts import TunedTexts
from stream.growth import grown
from stream.tokens import buckets
from stream.values import Changes, Int32s, Int64s, State

LOGGER = logging.getLogger("freshrank.learner")

_MOST_ROWS = 2**31 - 1


class ItemContentConfig(BaseModel):
    """What is read of an item's metadata."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(default=24, ge=0, le=256)
    """Of title, text, category and attributes, for each item; 0 reads none."""
    token_buckets: int = Field(default=16_384, ge=2, le=2**24)
    """Learned vectors that all tokens share, at the most; a bucket has one once a token fell in."""
    text_encoder: str | None = None
    """A folder with an `AutoModel` of transformers that reads title and text, or `minilm`."""
    tune: Literal["frozen", "lora"] = "frozen"
    """Whether the text encoder stays as it is, or learns by adapters; on the CPU in either case."""
    lora: LoraConfig = LoraConfig(learning_rate=2e-4)
    """Its adapters."""
    tuned_items: PositiveInt = 16
    """Texts drawn in a step to teach the adapters: more often those that the loss would move."""
    refreshed_items: PositiveInt = 32
    """Texts that are read anew after a step, in turn; until then a text keeps its vector."""
    vectors: dict[str, Annotated[int, Field(ge=1, le=65_536)]] = {}
    """Vectors that item events bring, of images say: their names, and how long each is."""

    @model_validator(mode="after")
    def _something_to_tune(self) -> "ItemContentConfig":
        if self.tune != "frozen" and self.text_encoder is None:
            raise ValueError(f"tune: {self.tune} needs a text_encoder: name its folder, or minilm")
        return self


@dataclass(frozen=True, slots=True)
class Bags:
    """The buckets of the tokens of the items in use, end to end: item v's begin at `starts_V[v]`.

    Buckets are numbered in the order in which a token first fell into them.
    """

    bucket_N: Tensor
    starts_V: Tensor


class ItemContent:
    """Follows the catalogue.

    Memory: 4 * L + 2 * E bytes a row.

    Parameters
    ----------
    config : ItemContentConfig
        What is read.

    Raises
    ------
    ConfigError
        If the text encoder cannot be used.
    """

    def __init__(self, config: ItemContentConfig) -> None:
        self._config = config
        lora = config.lora if config.tune == "lora" else None
        self._encoder = TextEncoder(config.text_encoder, lora) if config.text_encoder else None
        widths = {"text": self._encoder.width} if self._encoder else {}
        widths |= {f"vectors.{name}": width for name, width in config.vectors.items()}
        ends = list(accumulate(widths.values()))
        self._block = {
            name: slice(end - width, end)
            for (name, width), end in zip(widths.items(), ends, strict=True)
        }
        self.width = ends[-1] if ends else 0
        self._texts: TunedTexts | None = None
        if self._encoder and lora:
            self._texts = TunedTexts(
                self._encoder, self._block["text"], config.tuned_items, config.refreshed_items
            )
        self._n_items = 0
        self._number_of: dict[int, int] = {}
        self._bucket_VL: Int32s = np.zeros((0, config.tokens), np.int32)
        self._n_tokens_V: Int32s = np.zeros(0, np.int32)
        self._dense_VE: NDArray[np.float16] = np.zeros((0, self.width), np.float16)
        self._bags: Bags | None = None
        self._dense: Tensor | None = None

    def follow(self, changes: Changes) -> None:
        """Drop what recycled rows said, and take in what items say now."""
        self._n_items = changes.n_items
        self._bucket_VL = grown(self._bucket_VL, self._n_items, _MOST_ROWS)
        self._n_tokens_V = grown(self._n_tokens_V, self._n_items, _MOST_ROWS)
        self._dense_VE = grown(self._dense_VE, self._n_items, _MOST_ROWS)
        self._n_tokens_V[changes.recycled_R] = 0
        self._dense_VE[changes.recycled_R] = 0
        for row, told in changes.described.items():
            hashed = buckets(told, self._config.token_buckets, self._config.tokens)
            found = [self._number_of.setdefault(one, len(self._number_of)) for one in hashed]
            self._bucket_VL[row, : len(found)] = found
            self._n_tokens_V[row] = len(found)
            self._take_vectors(row, told)
        rows = list(changes.described)
        texts = [
            f"{t.get('title') or ''}\n{t.get('text') or ''}" for t in changes.described.values()
        ]
        if self._encoder and rows:
            self._dense_VE[rows, self._block["text"]] = self._encoder.encode(texts)
        if self._texts:
            self._texts.follow(changes, rows, texts)
        self._bags = self._dense = None

    @property
    def n_buckets(self) -> int:
        """H, the buckets that a token fell into so far."""
        return len(self._number_of)

    def bags(self, device: torch.device, row_R: Int64s | None = None) -> Bags | None:
        """The tokens of the items in use, or of these rows; None if no item of them has any."""
        if row_R is not None:
            return self._bags_of(row_R, device) if self._n_tokens_V[row_R].any() else None
        if self._bags is None and self._n_tokens_V[: self._n_items].any():
            with torch.inference_mode(mode=False):  # whoever asks first, training uses it too
                self._bags = self._bags_of(slice(self._n_items), device)
        return self._bags

    def dense(self, device: torch.device, row_R: Int64s | None = None) -> Tensor | None:
        """Each item's vectors side by side, of length 1 or 0 each, float32, shape (V, E)."""
        if row_R is not None:
            return (
                torch.from_numpy(self._dense_VE[row_R]).to(device).float() if self.width else None
            )
        if self._dense is None and self.width:
            with torch.inference_mode(mode=False):
                self._dense = torch.from_numpy(self._dense_VE[: self._n_items]).to(device).float()
        return self._dense

    @property
    def adapters(self) -> Adapters:
        """What learns of the text encoder."""
        return self._encoder.adapters if self._encoder else Adapters()

    def watched(self, dense_VE: Tensor, row_R: Int64s | None) -> Tensor:
        """What `dense` gave, for a loss whose gradients `pass_on` sends into the text encoder."""
        return self._texts.watched(dense_VE, row_R) if self._texts else dense_VE

    def pass_on(self) -> None:
        """Let the text encoder learn from the loss that went backward, if it learns."""
        if self._texts:
            self._texts.pass_on()

    def refresh(self) -> None:
        """Read some texts anew after a step, if the text encoder learns."""
        if self._texts:
            row_N, vector_NE = self._texts.refresh()
            self._dense_VE[row_N, self._block["text"]] = vector_NE
            if self._dense is not None:
                self._dense[torch.from_numpy(row_N), self._block["text"]] = torch.from_numpy(
                    vector_NE
                ).to(self._dense)

    def restore(self, state: State, rows_R: Int64s) -> None:
        """Take back these rows' vectors of texts, if the text encoder learns.

        Where the text is another one since, or the row was not there, until the row's next turn.
        """
        if self._texts:
            columns = self._block["text"]
            self._dense_VE[rows_R, columns] = state["dense"][rows_R, columns]
            self._dense = None

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "base": self._encoder.base_fingerprint if self._encoder else None,
            "texts": self._texts.state_dict() if self._texts else None,
            "n_tokens": self._n_tokens_V[: self._n_items],
            "bucket": self._buckets_of(slice(self._n_items)),
            "hash": np.array(list(self._number_of), np.int64),
            "dense": self._dense_VE[: self._n_items],
        }

    def load_state_dict(self, state: State) -> None:
        check_base(
            SETTING, state["base"], self._encoder.base_fingerprint if self._encoder else None
        )
        if self._texts:
            self._texts.load_state_dict(state["texts"])
        self._n_tokens_V = np.array(state["n_tokens"], np.int32)
        self._n_items = len(self._n_tokens_V)
        self._bucket_VL = np.zeros((self._n_items, self._config.tokens), np.int32)
        self._bucket_VL[self._is_token(slice(self._n_items))] = state["bucket"]
        self._number_of = {one: number for number, one in enumerate(state["hash"].tolist())}
        self._dense_VE = np.array(state["dense"], np.float16)
        self._bags = self._dense = None

    def _bags_of(self, rows: Int64s | slice, device: torch.device) -> Bags:
        n_tokens_V = self._n_tokens_V[rows]
        starts_V = np.cumsum(n_tokens_V, dtype=np.int64) - n_tokens_V
        bucket_N = torch.from_numpy(self._buckets_of(rows).astype(np.int64))
        return Bags(bucket_N.to(device), torch.from_numpy(starts_V).to(device))

    def _is_token(self, rows: Int64s | slice) -> NDArray[np.bool_]:
        return np.arange(self._config.tokens) < self._n_tokens_V[rows, None]

    def _buckets_of(self, rows: Int64s | slice) -> Int32s:
        in_use: Int32s = self._bucket_VL[rows][self._is_token(rows)]
        return in_use

    def _take_vectors(self, row: int, told: Mapping[str, Any]) -> None:
        given = told.get("vectors") or {}
        for name, width in self._config.vectors.items():
            if name not in given:
                continue
            vector = np.asarray(given[name], np.float64)
            with np.errstate(over="ignore"):
                norm = np.linalg.norm(vector)
            if vector.shape != (width,) or not np.isfinite(norm):
                LOGGER.warning(
                    "a vector %r of an item is not used: expected %d finite numbers, got %d",
                    name,
                    width,
                    vector.size,
                )
            elif norm > 0:
                self._dense_VE[row, self._block[f"vectors.{name}"]] = vector / norm
