"""Annotations: texts of a rule in which a notice's own figures stand, such as `{value}`.

A field is a name in braces, a number's may be followed by how to write it: `{value:.1%}`,
`{samples:,.0f}`. `{labels.team}` is a label of the rule; `{{` and `}}` are braces. A field that a
notice has no value for is written as a dash.
"""

import difflib
import re
import string
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator

from evaluators.rule_labels import MAX_LABELS, LabelName
from stream.durations import lasted_text
from stream.event_times import iso_text
from stream.values import Record

NUMBERS = ("value", "threshold", "clear", "reference", "samples", "events")
TIMES = ("since", "ts")
TEXTS = ("rule", "kind", "metric", "over", "policy", "state", "severity", "description", "runbook")
FIELDS = (*NUMBERS, *TIMES, "lasted", *TEXTS)
"""What may stand in braces: keys of a notice's record, and `lasted`, from `since` to `ts`."""

MAX_TEMPLATE_CHARS = 1_000
_LABEL = "labels."
# Widths are left out: a text of a million blanks is nobody's wish.
_NUMBER_FORMAT = re.compile(r"\+?,?(\.\d{1,2})?[efg%]?")


def check_fields(name: str, template: str, labels: Mapping[str, str]) -> None:
    """Check that a template can be filled.

    Parameters
    ----------
    name : str
        The annotation's.
    template : str
        Its text.
    labels : mapping of str to str
        The rule's.

    Raises
    ------
    ValueError
        If a field is unknown, or is to be written in a way that it cannot.
    """
    for field, spec in _fields(name, template):
        known = [*FIELDS, *(f"{_LABEL}{label}" for label in labels)]
        if field not in known:
            nearest = difflib.get_close_matches(field, known, n=1)
            hint = f"did you mean {{{nearest[0]}}}? " if nearest else ""
            raise ValueError(
                f"annotations.{name}: unknown field {{{field}}}; {hint}known fields: "
                f"{', '.join(known)}"
            )
        if spec and field not in NUMBERS:
            raise ValueError(
                f"annotations.{name}: {{{field}:{spec}}}: only numbers are written in a way of "
                f"their own; write {{{field}}}"
            )
        if spec and not _NUMBER_FORMAT.fullmatch(spec):
            raise ValueError(
                f"annotations.{name}: {{{field}:{spec}}}: expected a number's format such as .3f, "
                f".1% or ,.0f, got {spec!r}"
            )


def rendered(templates: Mapping[str, str], record: Record) -> dict[str, str]:
    """The texts of a notice.

    Parameters
    ----------
    templates : mapping of str to str
        By name, each one that `check_fields` accepts.
    record : dict
        The notice's, with its `labels`.

    Examples
    --------
    >>> record = {"rule": "low", "value": 0.1234, "ts": 7_200_000, "since": 0, "labels": {}}
    >>> rendered({"summary": "{rule} at {value:.1%} for {lasted}, since {since}"}, record)
    {'summary': 'low at 12.3% for 2h, since 1970-01-01T00:00:00Z'}
    """
    return {
        name: "".join(
            before if field is None else before + _text(field, spec or "", record)
            for before, field, spec, _ in string.Formatter().parse(template)
        )
        for name, template in templates.items()
    }


def _fields(name: str, template: str) -> Iterator[tuple[str, str]]:
    if len(template) > MAX_TEMPLATE_CHARS:
        raise ValueError(
            f"annotations.{name}: has {len(template):,} characters; write at most "
            f"{MAX_TEMPLATE_CHARS:,}"
        )
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as err:
        raise ValueError(
            f"annotations.{name}: {err}; write a field as {{value}}, and a brace of its own twice"
        ) from err
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        if conversion:
            raise ValueError(
                f"annotations.{name}: {{{field}!{conversion}}}: fields are not converted; write "
                f"{{{field}}}"
            )
        yield field, spec or ""


def _text(field: str, spec: str, record: Record) -> str:
    if field.startswith(_LABEL):
        return str(record["labels"].get(field.removeprefix(_LABEL), "-"))
    if field == "lasted":
        return lasted_text(record["ts"] - record["since"])
    value = record.get(field)
    if value is None or value == "":
        return "-"
    if field in TIMES:
        return iso_text(value)
    return _number_text(value, spec) if field in NUMBERS else str(value)


def _number_text(value: float, spec: str) -> str:
    if spec:
        return format(float(value), spec)
    return f"{value:.4g}" if abs(value) < 1e4 and value != int(value) else f"{value:.0f}"


def _check_number(templates: dict[str, str]) -> dict[str, str]:
    if len(templates) > MAX_LABELS:
        raise ValueError(f"expected at most {MAX_LABELS} annotations, got {len(templates)}")
    return templates


Annotations = Annotated[dict[LabelName, str], AfterValidator(_check_number)]
