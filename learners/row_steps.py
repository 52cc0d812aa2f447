"""An optimizer steps the rows of a table that a sparse gradient is for, and no others.

# V rows of the table, P rows in play

The rows, with their moments, are gathered into a small table that stands in for the large one while
the step is taken, and are put back after it: lazy Adam, as in [1]_. A row that is in play in every
step goes exactly the way it goes under the dense optimizer. One that is not stands still, and there
the two differ:

- A dense AdamW goes on moving a row by its first moment after its gradient has become 0; here it
  stops at once and goes on with that moment when it is in play again.
- Moments fade by the steps in which the row is in play, not by all steps: seldom clicked rows
  remember longer.
- Weight decay would reach rows in play alone. The item table has none.
- The count of steps that corrects the moments' bias is the table's, as it is for fresh rows.

.. [1] TensorFlow Addons, LazyAdam.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


@contextmanager
def rows_in_play(optimizer: torch.optim.Optimizer, table: nn.Parameter) -> Iterator[nn.Parameter]:
    """The parameter that stands for the table while its gradient is clipped and stepped.

    The table itself unless its gradient is sparse.

    Parameters
    ----------
    optimizer : Optimizer
        An AdamW that steps the table.
    table : Parameter
        With its gradient.
    """
    if table.grad is None or not table.grad.is_sparse:
        yield table
        return
    gradient = table.grad.coalesce()
    row_P = gradient.indices()[0]
    stand_in = nn.Parameter(table.detach()[row_P])
    stand_in.grad = gradient.values()
    table.grad = None
    moments = optimizer.state.pop(table, None)
    if moments is not None:
        gathered = {name: moments[name][row_P] for name in MOMENTS}
        optimizer.state[stand_in] = {"step": moments["step"], **gathered}
    _exchange(optimizer, table, stand_in)
    try:
        yield stand_in
    finally:
        _exchange(optimizer, stand_in, table)
        stepped = optimizer.state.pop(stand_in, None)
        if stepped:
            optimizer.state[table] = _put_back(moments, stepped, table, row_P)
            table.detach()[row_P] = stand_in.detach()


def _put_back(
    moments: dict[str, Tensor] | None, stepped: dict[str, Tensor], table: Tensor, row_P: Tensor
) -> dict[str, Tensor]:
    if moments is None:
        moments = {name: torch.zeros_like(table) for name in MOMENTS}
    for name in MOMENTS:
        moments[name].detach()[row_P] = stepped[name]
    return {"step": stepped["step"], **{name: moments[name] for name in MOMENTS}}


def _exchange(optimizer: torch.optim.Optimizer, old: nn.Parameter, new: nn.Parameter) -> None:
    for group in optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
