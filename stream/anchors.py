"""The anchors of a run: what a reaction may go back to, and what notices are computed from.

# V items of the catalogue
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stream.catalogue import Catalogue
from stream.checkpoint import CheckpointConfig, Spared
from stream.checkpoint_files import Checkpoint, checkpoint_name
from stream.named_anchors import NamedAnchors
from stream.notices import Moment, Notice
from stream.values import Bools, Position, State

_SCHEMA_VERSION = 2


class Anchors:
    """Names and times of the anchors that are kept, and the champion as each one holds it.

    The list is state and no look at the disk, so that two runs over the same events go back to
    the same anchor. At most `keep_anchors` are listed.

    Parameters
    ----------
    config : CheckpointConfig
        Where they lie, and how many remain on disk.
    load : callable
        Reads one of them.
    champion : str
        Whose state is wanted.
    catalogue : Catalogue
        Says which rows still mean what they meant.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        load: Callable[[Path], Checkpoint],
        champion: str,
        catalogue: Catalogue,
    ) -> None:
        self._config = config
        self._load = load
        self._champion = champion
        self._catalogue = catalogue
        self._taken: list[tuple[str, int]] = []
        self._newest_seq = 0
        self._start: Position = {}
        self._restored: list[str] = []  # since the newest one was taken
        self._named = NamedAnchors(config)

    @property
    def newest(self) -> str | None:
        """The name of the last anchor taken."""
        return self._taken[-1][0] if self._taken else None

    @property
    def start(self) -> Position:
        """Where the stream stood when the last anchor was taken; before, where it began."""
        return self._start

    def begin(self, start: Position) -> None:
        """The stream begins here: there is no anchor yet."""
        self._start = start

    def taken(self, seq: int, watermark_ms: int, position: Position) -> None:
        """Another anchor is about to be written."""
        taken = [*self._taken, (checkpoint_name("anchor", seq), watermark_ms)]
        self._taken = taken[-self._config.keep_anchors :]
        self._newest_seq = seq
        self._start = position
        self._restored = []

    def before(self, ts_ms: int, older_than: str | None = None) -> str | None:
        """The newest anchor that holds nothing later than this event time, nor another anchor.

        A name tells the age: that of an older anchor is the smaller one.
        """
        names = [name for name, ts in self._taken if ts <= ts_ms]
        older = [name for name in names if older_than is None or name < older_than]
        return older[-1] if older else None

    def champion_state(self, name: str) -> tuple[State, Bools]:
        """The champion's state in an anchor, and which of today's rows it means the same item by.

        Raises
        ------
        CheckpointError
            If the anchor cannot be read.
        """
        found = self._load(self._config.dir / name)
        if name not in self._restored:
            self._restored.append(name)
        then_V = found.state["tables"]["catalogue"]["table"]["generation"]
        now_V = self._catalogue.generation_V
        is_same_V = np.zeros(len(now_V), np.bool_)
        n_known = min(len(then_V), len(now_V))
        is_same_V[:n_known] = then_V[:n_known] == now_V[:n_known]
        return found.state["panel"]["learners"][self._champion], is_same_V

    def keep_for(self, notices: Sequence[Notice], moment: Moment) -> None:
        """Have what a firing notice of this moment was computed from stay for a while."""
        if any(notice.state == "firing" for notice in notices):
            # Of what was rolled back to, the weights are needed, and no batch after them.
            first_seq_of: dict[str | None, int] = dict.fromkeys(self._restored, moment.seq)
            first_seq_of[self.newest] = self._newest_seq
            self._named.need(first_seq_of, moment.seq, moment.watermark_ms)

    def spared(self, now_ms: int) -> tuple[Spared, ...]:
        """What notices need to stay at this event time, beside the anchors that always do."""
        return self._named.spared(now_ms)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "name": [name for name, _ in self._taken],
            "watermark_ms": [ts for _, ts in self._taken],
            "newest_seq": self._newest_seq,
            "start": {name: dict(cursor) for name, cursor in self._start.items()},
            "restored": list(self._restored),
            "named": self._named.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._taken = list(zip(state["name"], state["watermark_ms"], strict=True))
        self._newest_seq = state["newest_seq"]
        self._start = state["start"]
        self._restored = list(state["restored"])
        self._named.load_state_dict(state["named"])
