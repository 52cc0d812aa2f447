"""What off-policy estimates rest on, over the four windows, by target policy.

# S lists of an update, row by row, X totals of each, R rows, C columns, W lists of `events`
"""

import numpy as np

from evaluators.offpolicy_estimates import N_PRODUCTS, PAIRS_GG, TOTALS, Moments, products
from evaluators.row_windows import RowRing, RowSamples, RowSums
from evaluators.windows import WindowSizes
from stream.values import Float64s, Int64s, State

_N_SUMS = len(PAIRS_GG[0]) + len(TOTALS) - N_PRODUCTS

_SCHEMA_VERSION = 1


class OffPolicyWindows:
    """The moments of lists by row; a sample of the windows is a list.

    Memory, for each row: 88 bytes for each list of `events`, and 23 KiB. The cost of a list does
    not depend on the windows; `events` is summed up when it is asked for.
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self._sums = RowSums(_N_SUMS, np.float64, np.float64)
        self._last = RowRing(sizes.events, np.dtype((np.float64, (len(TOTALS),))))
        self.n_rows = 0

    def empty(self, slots: Int64s) -> None:
        """Drop what lies in buckets that time has left behind."""
        self._sums.empty(slots)

    def update(self, samples: RowSamples, totals_SX: Float64s) -> None:
        """Take in the totals of lists; rows that are new are added."""
        self.n_rows = max(self.n_rows, len(samples.n_R))
        self._sums.grow(self.n_rows)
        self._last.grow(self.n_rows)
        self._sums.fade(samples)
        value_CS = products(totals_SX)
        column_CS = np.broadcast_to(np.arange(_N_SUMS)[:, None], value_CS.shape)
        self._sums.add(samples, column_CS, value_CS)
        self._last.update(samples, totals_SX)

    def moments(self, window: str, row: int) -> Moments | None:
        """What is known of a row's lists; None without one."""
        if row >= self.n_rows:
            return None
        if window == "events":
            totals_WX = self._last.values(row)
            # Not `@`: a threaded product may add in another order.
            product_GG = np.einsum(
                "wg,wh->gh", totals_WX[:, :N_PRODUCTS], totals_WX[:, :N_PRODUCTS]
            )
            others = totals_WX[:, N_PRODUCTS:].sum(axis=0).tolist()
            moments = Moments(product_GG, *others)
        else:
            moments = Moments.of_sums(self._sums.over(window, row))
        return moments if moments.samples > 0 else None

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "sums": self._sums.state_dict(),
            "last": self._last.state_dict(),
            "n_rows": self.n_rows,
        }

    def load_state_dict(self, state: State) -> None:
        self._sums.load_state_dict(state["sums"])
        self._last.load_state_dict(state["last"])
        self.n_rows = state["n_rows"]
