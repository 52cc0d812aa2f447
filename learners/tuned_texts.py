"""The texts of items, read by an encoder that learns while the stream goes on.

# V items in use, E length of all dense vectors of an item, R rows of a step, L tokens of an item,
# N texts

To read every text in every step would cost more than all the rest. A step works with vectors that
were read before, and learns in two halves [1]_: the loss gives a gradient for each text's vector;
then a few texts are read anew, and their gradients go on into the adapters. They are drawn by the
lengths of their gradients and weighed by how likely that was, so that what reaches the adapters is
on average what all texts would have sent: the largest alone are those of clicked items, which would
draw all texts together while nothing pushed the others apart.

After each step some texts are read by the adapters as they are now, the next in a circle over the
rows: no vector is older than `texts / refreshed_items` steps.

.. [1] Gao, Zhang, Han, Callan. Scaling Deep Contrastive Learning Batch Size under Memory Limited
   Setup. RepL4NLP 2021.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners.text_encoder import MAX_TOKENS, TextEncoder
from stream.growth import grown
from stream.values import Changes, Int32s, Int64s, State

_MOST_ROWS = 2**31 - 1


class TunedTexts:
    """Holds the tokens of each text, and which are read when.

    Memory: 260 bytes a row.

    Parameters
    ----------
    encoder : TextEncoder
        With adapters.
    columns : slice
        Where its vectors stand among the dense ones of an item.
    taught, refreshed : int
        Texts drawn in a step to learn from, and those that are read anew after it.
    """

    def __init__(self, encoder: TextEncoder, columns: slice, taught: int, refreshed: int) -> None:
        self._encoder = encoder
        self._columns = columns
        self._n_taught = taught
        self._n_refreshed = refreshed
        self._token_VL: Int32s = np.zeros((0, MAX_TOKENS), np.int32)
        self._n_tokens_V: Int32s = np.zeros(0, np.int32)
        self._n_items = 0
        self._next_row = 0
        self._watched: tuple[Tensor, Int64s | None] | None = None

    def follow(self, changes: Changes, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Forget what recycled rows said, and keep what rows say now."""
        self._n_items = changes.n_items
        self._token_VL = grown(self._token_VL, changes.n_items, _MOST_ROWS)
        self._n_tokens_V = grown(self._n_tokens_V, changes.n_items, _MOST_ROWS)
        self._n_tokens_V[changes.recycled_R] = 0
        for row, tokens in zip(rows, self._encoder.tokens(texts), strict=True):
            self._token_VL[row, : len(tokens)] = tokens
            self._n_tokens_V[row] = len(tokens)

    def watched(self, dense_RE: Tensor, row_R: Int64s | None) -> Tensor:
        """The same vectors, whose gradients will be looked at; of these rows, or of all."""
        leaf_RE = dense_RE.detach().requires_grad_()
        self._watched = leaf_RE, row_R
        return leaf_RE

    def pass_on(self) -> None:
        """Send gradients on into the adapters: of a few texts, on average those of all."""
        assert self._watched is not None, "a loss reads the vectors"
        (leaf_RE, row_R), self._watched = self._watched, None
        if leaf_RE.grad is None:
            return
        gradient_RE = leaf_RE.grad[:, self._columns].cpu()
        n_tokens_R = self._n_tokens_V[: len(leaf_RE)] if row_R is None else self._n_tokens_V[row_R]
        norm_R = gradient_RE.norm(dim=1) * torch.from_numpy(n_tokens_R > 0)
        total = float(norm_R.sum())
        if not 0.0 < total < math.inf:
            return  # nothing to learn, or a step that will be skipped
        # By torch's global generator, which is the step's own while the loss goes backward.
        drawn = torch.multinomial(norm_R, self._n_taught, replacement=True)
        place_N, times_N = np.unique(drawn.numpy(), return_counts=True)
        weight_N = torch.from_numpy(times_N) * total / (self._n_taught * norm_R[place_N])
        rows = place_N if row_R is None else row_R[place_N]
        vector_NE = self._encoder.vectors(self._tokens(rows), is_learning=True)
        torch.autograd.backward(vector_NE, gradient_RE[place_N] * weight_N[:, None])

    def refresh(self) -> tuple[Int64s, NDArray[np.float16]]:
        """The next rows in the circle that have a text, and their vectors."""
        has_text = np.flatnonzero(self._n_tokens_V)
        first = np.searchsorted(has_text, self._next_row)
        places = first + np.arange(min(self._n_refreshed, len(has_text)))
        row_N = has_text[places % max(len(has_text), 1)]
        if not len(row_N):
            return row_N, np.zeros((0, self._encoder.width), np.float16)
        self._next_row = int(row_N[-1]) + 1
        vector_NE = self._encoder.vectors(self._tokens(row_N), is_learning=False).half().numpy()
        is_usable_N = np.isfinite(vector_NE).all(axis=1)
        return row_N[is_usable_N], vector_NE[is_usable_N]

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "n_tokens": self._n_tokens_V[: self._n_items],
            "token": self._token_VL[: self._n_items][self._is_token()],
            "next_row": self._next_row,
        }

    def load_state_dict(self, state: State) -> None:
        self._n_tokens_V = np.array(state["n_tokens"], np.int32)
        self._n_items = len(self._n_tokens_V)
        self._token_VL = np.zeros((len(self._n_tokens_V), MAX_TOKENS), np.int32)
        self._token_VL[self._is_token()] = state["token"]
        self._next_row = state["next_row"]

    def _tokens(self, rows: Iterable[int]) -> list[list[int]]:
        return [self._token_VL[row, : self._n_tokens_V[row]].tolist() for row in rows]

    def _is_token(self) -> NDArray[np.bool_]:
        is_token_VL: NDArray[np.bool_] = (
            np.arange(MAX_TOKENS) < self._n_tokens_V[: self._n_items, None]
        )
        return is_token_VL
