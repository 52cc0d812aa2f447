"""The item tower: a vector of its own for each item, and what its metadata says.

An item's vector is its own, learned from its clicks, plus the mean of the vectors of its tokens,
which it shares with every item that has them [1]_, and a learned projection of its dense vectors:
one that nobody clicked yet stands among its like.

# V items in use, D embedding width, R some rows, H token buckets in use,
# E length of all dense vectors of an item

References
----------
.. [1] Kula. Metadata Embeddings for User and Item Cold-start Recommendations. CBRecSys 2015.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from learners.item_content import ItemContent
from stream.values import Int64s

TABLES = ("vector_VD", "token_HD")


class ItemVectors(nn.Module):
    """Item vectors and token vectors, in tables that grow by doubling.

    Only the first `n_rows[table]` rows of a table are in use. Memory: 4 * D bytes a row, and twice
    that for the optimizer's moments.

    Parameters
    ----------
    width : int
        D, length of a vector.
    content : ItemContent
        What the items say of themselves.
    """

    # Each component's deviation: small against the sphere that vectors are projected to, so that
    # an item's first clicks turn its vector fast.
    INITIAL_DEVIATION = 0.1

    def __init__(self, width: int, content: ItemContent) -> None:
        super().__init__()
        self.content = content
        self.n_rows = dict.fromkeys(TABLES, 0)
        self.vector_VD = nn.Parameter(torch.zeros(0, width))
        self.token_HD = nn.Parameter(torch.zeros(0, width))
        self.dense_ED = nn.Parameter(self.INITIAL_DEVIATION * torch.randn(content.width, width))

    def table(self, name: str) -> nn.Parameter:
        """A table, with the rows that are not in use yet."""
        table = self.get_parameter(name)
        assert isinstance(table, nn.Parameter)
        return table

    def vectors(self, row_R: Int64s | None = None) -> Tensor:
        """The vectors of the items in use, or of these rows alone.

        Parameters
        ----------
        row_R : int64 array, optional
            Distinct rows. The gradient of their own vectors is sparse then: nothing is as long as
            the table.

        Returns
        -------
        float tensor, shape (V, D) or (R, D)
            Of any length.
        """
        if row_R is None:
            return self.with_content(self.vector_VD[: self.n_rows["vector_VD"]])
        rows = torch.from_numpy(row_R).to(self.vector_VD.device)
        return self.with_content(functional.embedding(rows, self.vector_VD, sparse=True), row_R)

    def with_content(self, vector_VD: Tensor, row_R: Int64s | None = None) -> Tensor:
        """Add what the items in use, or these rows, say of themselves to vectors of their own."""
        if (bags := self.content.bags(vector_VD.device, row_R)) is not None:
            vector_VD = vector_VD + functional.embedding_bag(
                bags.bucket_N, self.token_HD, bags.starts_V, mode="mean"
            )
        if (dense_VE := self.content.dense(vector_VD.device, row_R)) is not None:
            if self.training:
                dense_VE = self.content.watched(dense_VE, row_R)
            vector_VD = vector_VD + dense_VE @ self.dense_ED
        return vector_VD

    def start_fresh(self, name: str, rows_R: Tensor, generator: torch.Generator) -> None:
        """Give rows of a table new random vectors."""
        table = self.table(name)
        fresh = torch.randn(len(rows_R), table.shape[1], generator=generator)
        with torch.no_grad():
            table[rows_R] = (fresh * self.INITIAL_DEVIATION).to(table.device)
