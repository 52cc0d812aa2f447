"""HTML that cannot be broken out of: text is escaped unless it was made here.

Data for scripts goes through `json_script`: nothing in it can end the script element.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_VOID_TAGS = frozenset({"meta", "link", "input", "br", "hr", "col"})
# Cells with more text are broken into lines of at least a readable width.
_LONG_CELL_CHARS = 24


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe as it is."""

    text: str


Child = Html | str | None
Attribute = str | int | bool | None


def element(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """One element; strings in it are text.

    Attribute names lose a last `_` and have `-` for `_`; True is a bare attribute, False and
    None are left out.

    Examples
    --------
    >>> element("p", "1 < 2", element("b", "!"), class_="note", hidden=True).text
    '<p class="note" hidden>1 &lt; 2<b>!</b></p>'
    """
    opening = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID_TAGS:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{joined(children).text}</{tag}>")


def joined(children: Iterable[Child]) -> Html:
    """Children side by side, without an element around them."""
    return Html("".join(_child_text(child) for child in children))


def table(
    caption: str, header: Sequence[Child], rows: Sequence[Sequence[Child]], n_text_columns: int = 1
) -> Html:
    """A table that scrolls within its own width.

    Parameters
    ----------
    caption : str
        What it shows; read aloud, not seen.
    header, rows : sequences
        The cells; the first of a row names it.
    n_text_columns : int
        How many columns from the left hold text; the others are aligned as numbers.
    """

    def kind(column: int) -> str | None:
        return None if column < n_text_columns else "number"

    head = element(
        "tr",
        *(element("th", cell, scope="col", class_=kind(i)) for i, cell in enumerate(header)),
    )
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(_cell(cell, kind(i)) for i, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    return element("div", whole, class_="scroll", role="region", tabindex="0", aria_label=caption)


def json_script(name: str, data: Any) -> Html:
    r"""Data that a script reads by its element's id; numbers must be finite.

    Examples
    --------
    >>> print(json_script("x", "</script>").text)
    <script type="application/json" id="x">"\u003c/script\u003e"</script>
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Html(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def _cell(cell: Child, kind: str | None) -> Html:
    is_long = kind is None and isinstance(cell, str) and len(cell) > _LONG_CELL_CHARS
    return element("td", cell, class_="long" if is_long else kind)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    plain = name.rstrip("_").replace("_", "-")
    return f" {plain}" if value is True else f' {plain}="{escape(str(value))}"'


def _child_text(child: Child) -> str:
    if child is None:
        return ""
    return child.text if isinstance(child, Html) else escape(child)
