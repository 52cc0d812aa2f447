"""How the champion's learning goes: which share of its optimizer steps had to be skipped.

# N steps of an update
"""

import numpy as np

from evaluators.figures import as_record
from evaluators.windows import WINDOWS, RankWindows, WindowSizes
from stream.values import Reading, Record, State, Steps

STEP_METRICS = ("skipped_share",)

_SCHEMA_VERSION = 1


class StepJudge:
    """The share of skipped steps over the four windows; the window `events` holds steps.

    Memory: `sizes.events` bytes and 1 KiB.

    Parameters
    ----------
    sizes : WindowSizes
        Of the windows.
    """

    def __init__(self, sizes: WindowSizes) -> None:
        self._windows = RankWindows((1, 2), sizes)
        # A champion may have learned before the stream began: that is not judged.
        self._first: Steps | None = None
        self._seen = Steps(0, 0)

    def update(self, steps: Steps | None, watermark_ms: int) -> None:
        """Count the steps since the update before; None from a champion that takes none."""
        steps = steps or self._seen
        if self._first is None:
            self._first = self._seen = steps
        n_steps, n_skipped = steps.n - self._seen.n, steps.n_skipped - self._seen.n_skipped
        is_skipped_N = np.arange(n_steps) >= n_steps - n_skipped
        ts_N = np.full(n_steps, watermark_ms, np.int64)
        self._windows.update(is_skipped_N[None, :].astype(np.int64), ts_N, watermark_ms)
        self._seen = steps

    def metrics(self) -> Record:
        """The share over each window that holds a step; empty before the first."""
        figure = as_record({over: self.reading(over) for over in WINDOWS})
        return {"skipped_share": figure} if figure else {}

    def reading(self, over: str) -> Reading | None:
        """The share over one window; None without a step."""
        n_taken, n_skipped = self._windows.over(over)[0].tolist()
        n_steps = n_taken + n_skipped
        return Reading(n_skipped / n_steps, n_steps) if n_steps else None

    def counts(self) -> dict[str, int]:
        """Steps since start."""
        first = self._first or self._seen
        return {
            "steps": self._seen.n - first.n,
            "skipped_steps": self._seen.n_skipped - first.n_skipped,
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "windows": self._windows.state_dict(),
            "first": None if self._first is None else [self._first.n, self._first.n_skipped],
            "seen": [self._seen.n, self._seen.n_skipped],
        }

    def load_state_dict(self, state: State) -> None:
        self._windows.load_state_dict(state["windows"])
        self._first = None if state["first"] is None else Steps(*state["first"])
        self._seen = Steps(*state["seen"])
