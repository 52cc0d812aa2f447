"""The anchors of a run: what a reaction may go back to.

# V items of the catalogue
"""

from pathlib import Path

import numpy as np

from stream.catalogue import Catalogue
from stream.checkpoint import Checkpoints
from stream.checkpoint_files import checkpoint_name
from stream.values import Bools, State


class Anchors:
    """Names and times of the anchors that are kept, and the champion as each one holds it.

    The list is state and no look at the disk, so that two runs over the same events go back to
    the same anchor. At most `keep` are listed.

    Parameters
    ----------
    checkpoints : Checkpoints
        Who reads them.
    folder : Path
        Where they lie.
    keep : int
        How many remain on disk.
    champion : str
        Whose state is wanted.
    catalogue : Catalogue
        Says which rows still mean what they meant.
    """

    def __init__(
        self, checkpoints: Checkpoints, folder: Path, keep: int, champion: str, catalogue: Catalogue
    ) -> None:
        self._checkpoints = checkpoints
        self._folder = folder
        self._keep = keep
        self._champion = champion
        self._catalogue = catalogue
        self._taken: list[tuple[str, int]] = []

    @property
    def newest(self) -> str | None:
        """The name of the last anchor taken."""
        return self._taken[-1][0] if self._taken else None

    def taken(self, seq: int, watermark_ms: int) -> None:
        """Another anchor is about to be written."""
        self._taken = [*self._taken, (checkpoint_name("anchor", seq), watermark_ms)][-self._keep :]

    def before(self, ts_ms: int) -> str | None:
        """The newest anchor that holds nothing later than this event time."""
        return next((name for name, ts in reversed(self._taken) if ts <= ts_ms), None)

    def champion_state(self, name: str) -> tuple[State, Bools]:
        """The champion's state in an anchor, and which of today's rows it means the same item by.

        Raises
        ------
        CheckpointError
            If the anchor cannot be read.
        """
        state = self._checkpoints.load(self._folder / name).state
        then_V = state["tables"]["catalogue"]["table"]["generation"]
        now_V = self._catalogue.generation_V
        is_same_V = np.zeros(len(now_V), np.bool_)
        n_known = min(len(then_V), len(now_V))
        is_same_V[:n_known] = then_V[:n_known] == now_V[:n_known]
        return state["panel"]["learners"][self._champion], is_same_V

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "name": [name for name, _ in self._taken],
            "watermark_ms": [ts for _, ts in self._taken],
        }

    def load_state_dict(self, state: State) -> None:
        self._taken = list(zip(state["name"], state["watermark_ms"], strict=True))
