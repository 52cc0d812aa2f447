"""One vector an item, in a table that grows by doubling.

# V items in use, D embedding width, R rows started fresh
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ItemVectors(nn.Module):
    """The item tower: a learned vector for each row of the catalogue.

    Only the first `n_items` rows are in use. Memory: 4 * D bytes a row, and twice that
    for the optimizer's moments.

    Parameters
    ----------
    width : int
        D, length of a vector.
    """

    # Each component's deviation: small against the sphere that vectors are projected to, so that
    # an item's first clicks turn its vector fast.
    INITIAL_DEVIATION = 0.1

    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_items = 0
        self.vector_VD = nn.Parameter(torch.zeros(0, width))

    def units(self) -> Tensor:
        """The vectors in use, of length 1, shape (V, D)."""
        return functional.normalize(self.vector_VD[: self.n_items], dim=-1)

    def start_fresh(self, rows_R: Tensor, generator: torch.Generator) -> None:
        """Give rows new random vectors."""
        fresh = torch.randn(len(rows_R), self.vector_VD.shape[1], generator=generator)
        with torch.no_grad():
            self.vector_VD[rows_R] = (fresh * self.INITIAL_DEVIATION).to(self.vector_VD.device)
