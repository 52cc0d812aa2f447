"""What is known of who asks, as a lean: a vector that is added to what items are scored against.

Tokens have vectors of their own; those of a text count as one, as do those of attributes. Numbers
are projected. One vector stands for anybody: the others say how somebody differs. All begin at
zero: what nothing was learned of yet changes nothing.

What users say of themselves counts the less the more clicks tell: by the square root of their
number. On simulated shops that had a lower log loss than a share of one over the number and than
a prefix before the history, and more recall than a constant share. A lean that was added to the
state itself, before its length is set to one, cost the order of the history more recall than it
won.

# C contexts, X tokens and F numbers of one, H buckets, D width, N items of sequences
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stream.asker_values import Askers
from stream.input_settings import InputsConfig
from stream.values import Contexts


class AskerVectors(nn.Module):
    """The vectors of tokens and numbers.

    Memory: 4 * D bytes a bucket, and three times that for moments and the mean that is served.

    Parameters
    ----------
    width : int
        D.
    inputs : InputsConfig
        How the columns are laid out.
    """

    def __init__(self, width: int, inputs: InputsConfig) -> None:
        super().__init__()
        self.token_HD = nn.Parameter(torch.zeros(inputs.token_buckets, width))
        self.number_FD = nn.Parameter(torch.zeros(inputs.n_numbers, width))
        self.anybody_D = nn.Parameter(torch.zeros(width))
        self._blocks = inputs.token_blocks
        self._of_profile = slice(inputs.n_profile_tokens), slice(inputs.n_profile_numbers)
        self._of_request = (
            slice(inputs.n_profile_tokens, inputs.n_tokens),
            slice(inputs.n_profile_numbers, inputs.n_numbers),
        )

    def leans(self, contexts: Contexts) -> Tensor:
        """The lean of each context, shape (C, D)."""
        profile_CD, request_CD = self._vectors(contexts)
        length_C = torch.from_numpy(contexts.length_C).to(profile_CD.device)
        return self.anybody_D + _share(length_C)[:, None] * profile_CD + request_CD

    def leans_before_items(self, sequences: Contexts) -> Tensor:
        """The lean before each item of each sequence, shape (N, D): in rows, from left to right.

        What a request carried is known of the last item's alone.
        """
        profile_CD, request_CD = self._vectors(sequences)
        sequence_CW = torch.from_numpy(sequences.history_CT).to(profile_CD.device)
        place_W = torch.arange(sequence_CW.shape[1], device=profile_CD.device)
        length_C = torch.from_numpy(sequences.length_C).to(profile_CD.device)
        is_last_CW = place_W == length_C[:, None] - 1
        lean_CWD = _share(place_W)[:, None] * profile_CD[:, None]
        lean_CWD = self.anybody_D + lean_CWD + is_last_CW[..., None] * request_CD[:, None]
        return lean_CWD[sequence_CW >= 0]

    def _vectors(self, contexts: Contexts) -> tuple[Tensor, Tensor]:
        """What users say of themselves, and what their requests carry: (C, D) each."""
        askers = contexts.askers
        if askers is None:
            nothing_CD = self.anybody_D.new_zeros(len(contexts.length_C), len(self.anybody_D))
            return nothing_CD, nothing_CD
        share_CX = _token_shares(askers, self._blocks)
        return (
            self._sum(askers, share_CX, *self._of_profile),
            self._sum(askers, share_CX, *self._of_request),
        )

    def _sum(
        self, askers: Askers, share_CX: NDArray[np.float32], tokens: slice, numbers: slice
    ) -> Tensor:
        device = self.token_HD.device
        token_CX = torch.from_numpy(askers.token_CX[:, tokens].astype(np.int64)).to(device)
        shares = torch.from_numpy(np.ascontiguousarray(share_CX[:, tokens])).to(device)
        number_CF = torch.from_numpy(np.ascontiguousarray(askers.number_CF[:, numbers])).to(device)
        token_CXD = functional.embedding(token_CX.clamp(min=0), self.token_HD)
        return (token_CXD * shares[..., None]).sum(dim=1) + number_CF @ self.number_FD[numbers]


def _token_shares(askers: Askers, blocks: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """What each token counts: in a block of n, one over the square root of n."""
    is_there_CX = askers.token_CX >= 0
    share_CX = is_there_CX.astype(np.float32)
    for start, end in blocks:
        n_C = np.maximum(is_there_CX[:, start:end].sum(axis=1), 1)
        share_CX[:, start:end] /= np.sqrt(n_C, dtype=np.float32)[:, None]
    return share_CX


def _share(n_clicks: Tensor) -> Tensor:
    """What a profile counts after so many clicks."""
    return torch.rsqrt(1.0 + n_clicks)
