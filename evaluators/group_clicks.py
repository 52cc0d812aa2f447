"""On what groups of items the clicks fall, over the four windows.

# B clicks of a batch, G groups
"""

import numpy as np
from numpy.typing import NDArray

from evaluators.windows import RankWindows, WindowSizes
from stream.values import Bools, Float64s, Int64s, Outcomes, State

_SCHEMA_VERSION = 1


class GroupClicks:
    """Counts of clicks by the group of the item; each click is a sample.

    Memory: `sizes.events` bytes and 63 x G x 8 bytes.

    Parameters
    ----------
    n_groups : int
        G, at most 256; the first stands for items of no known group.
    sizes : WindowSizes
        Of the windows.
    """

    def __init__(self, n_groups: int, sizes: WindowSizes) -> None:
        self._windows = RankWindows((1, n_groups), sizes)

    def update(
        self, outcomes: Outcomes, group_B: NDArray[np.uint8], chosen_B: Bools | None = None
    ) -> None:
        """Count the clicks of a batch, or those chosen of it, and move the time."""
        ts_B = np.minimum(outcomes.queries.ts_B, outcomes.watermark_ms)
        if chosen_B is not None:
            ts_B, group_B = ts_B[chosen_B], group_B[chosen_B]
        self._windows.update(group_B[None, :].astype(np.int64), ts_B, outcomes.watermark_ms)

    def over(self, window: str) -> Int64s | Float64s:
        """Clicks of each group over a window, shape (G,)."""
        count_G: Int64s | Float64s = self._windows.over(window)[0]
        return count_G

    def state_dict(self) -> State:
        return {"schema_version": _SCHEMA_VERSION, "windows": self._windows.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._windows.load_state_dict(state["windows"])
