"""Two notices side by side: the one that was told, and the one that came out."""

import difflib
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stream.values import Record


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out: `found` is None where the rule told nothing of this kind in that batch.

    `suspects` are things that are not as they were, and may be why the two differ.
    """

    told: Record
    found: Record | None
    n_batches: int
    n_records: int
    suspects: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether both are the same line, byte for byte."""
        return self.found is not None and _line(self.told) == _line(self.found)

    @property
    def difference(self) -> str:
        """Both notices as a unified difference, a key a line; empty if they are equal.

        Examples
        --------
        >>> one = Reproduction({"seq": 4, "value": 0.5}, {"seq": 4, "value": 0.25}, 1, 32)
        >>> print(one.difference)
        --- told
        +++ reproduced
        @@ -1,4 +1,4 @@
         {
           "seq": 4,
        -  "value": 0.5
        +  "value": 0.25
         }
        """
        if self.is_equal:
            return ""
        found = [] if self.found is None else _lines(self.found)
        return "\n".join(
            difflib.unified_diff(_lines(self.told), found, "told", "reproduced", lineterm="")
        )


def _line(notice: Record) -> bytes:
    """The notice as alerts.jsonl has it; a number is written in one way only."""
    return msgspec.json.encode(notice)


def _lines(notice: Record) -> list[str]:
    plain: Any = msgspec.json.decode(_line(notice))
    return json.dumps(plain, indent=2, ensure_ascii=False).splitlines()
