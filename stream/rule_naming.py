"""What rules of every kind have in common as they are written: names, and keys that are no keys."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel

# Names stand in files, on terminals and in the names of records.
_NAME = re.compile(r"[a-z0-9_-]{1,100}")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("expected 1 to 100 of a-z, 0-9, _ and -, such as recall_low")
    return name


RuleName = Annotated[str, AfterValidator(_checked)]


def rule_title(name: object) -> str:
    """How a rule is called in what is said of it.

    Examples
    --------
    >>> rule_title("recall_low"), rule_title(None)
    ('rule recall_low', 'rule')
    """
    return f"rule {name}" if isinstance(name, str) else "rule"


def refuse_unknown_keys(rule: type[BaseModel], written: Any) -> None:
    """Name the key nearest to one that the rule does not have.

    For a validator that runs before the fields' own. `extra="forbid"` would name a field by its
    own name, never by its alias: `for_` for `for`.

    Raises
    ------
    ValueError
        If a key is unknown.
    """
    if not isinstance(written, dict):
        return
    known = [field.alias or name for name, field in rule.model_fields.items()]
    for key in written:
        if key not in known:
            title = rule_title(written.get("name"))
            raise ValueError(f"{title}: unknown key {key!r}; {nearest_text(key, known)}")


def nearest_text(name: object, known: Sequence[str], what: str = "keys") -> str:
    """What to write in place of a name that none has.

    Examples
    --------
    >>> nearest_text("tresh", ["threshold", "share"]), nearest_text("x", ["team"], "labels")
    ("did you mean 'threshold'?", 'known labels: team')
    """
    nearest = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known {what}: {', '.join(known)}"
