"""What mutes notices: alerts that fire upstream of others, and silences for a stretch of time.

A mute says nothing but that a notice is not delivered. The alert goes through its life as ever,
stands in the record, and causes its reactions.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from evaluators.rule_labels import MAX_CHARS, LabelName, Matchers, matchers_text, matches
from stream.event_times import InstantMs, iso_text
from stream.rule_naming import nearest_text

MAX_INHIBITIONS = 100
MAX_SILENCES = 1_000

LabelsOf = Mapping[str, Mapping[str, str]]
"""The labels of each rule, by its name."""


class Inhibition(BaseModel):
    """While a rule of one kind fires, notices of rules of another are muted; as in Alertmanager.

    A rule that both sides match is not muted by another that both sides match, nor by itself. A
    rule that is muted mutes others all the same.

    Attributes
    ----------
    source : matchers
        Labels of the rules that mute while they fire.
    target : matchers
        Labels of the rules that are muted.
    equal : tuple of str
        Labels that both must have alike; two that lack one are alike in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Matchers
    target: Matchers
    equal: Annotated[tuple[LabelName, ...], Field(max_length=20)] = ()

    def pairs(self, labels_of: LabelsOf) -> Iterator[tuple[str, str]]:
        """Which rule mutes which while it fires."""
        sources = [name for name, labels in labels_of.items() if matches(self.source, labels)]
        targets = [name for name, labels in labels_of.items() if matches(self.target, labels)]
        on_both_sides = set(sources) & set(targets)
        alike_of = {
            name: [labels.get(label, "") for label in self.equal]
            for name, labels in labels_of.items()
        }
        for source in sources:
            for target in targets:
                is_alike = alike_of[source] == alike_of[target]
                if is_alike and not {source, target} <= on_both_sides:
                    yield source, target


class Silence(BaseModel):
    """Notices of some rules are muted for a stretch of event time.

    Attributes
    ----------
    match : matchers
        Labels of the rules that are muted.
    from : instant
        Event time from which on they are: ISO 8601, or milliseconds.
    until : instant
        Event time at which they no longer are.
    comment : str
        Why; told with every notice that it mutes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Matchers
    from_: InstantMs = Field(alias="from")
    until: InstantMs
    comment: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        if isinstance(values, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in values:
                if key not in known:
                    raise ValueError(f"unknown key {key!r}; {nearest_text(key, known)}")
        return values

    @field_validator("comment")
    @classmethod
    def _comment_is_a_line(cls, comment: str) -> str:
        if not comment.isprintable() or not comment.strip():
            raise ValueError(f"expected a few words on one line, got {comment!r}")
        return comment

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Silence":
        if self.from_ >= self.until:
            raise ValueError(
                f"from {iso_text(self.from_)} is not before until {iso_text(self.until)}; a "
                "silence ends after it begins"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name.rstrip("_"): value for name, value in handler(self).items()}


Inhibitions = Annotated[tuple[Inhibition, ...], Field(max_length=MAX_INHIBITIONS)]
Silences = Annotated[tuple[Silence, ...], Field(max_length=MAX_SILENCES)]


class Mutes:
    """By what the notices of each rule may be muted; a rule's labels never change.

    Parameters
    ----------
    inhibitions : sequence of Inhibition
        Which rules mute which.
    silences : sequence of Silence
        Which rules are muted when.
    labels_of : mapping
        The labels of each rule, in their order.

    Examples
    --------
    >>> labels = {"diverged": {"severity": "page"}, "recall_low": {"severity": "warning"}}
    >>> upstream = Inhibition(source={"severity": "page"}, target={"severity": "warning"})
    >>> planned = {"match": {"severity": "warning"}, "from": 0, "until": 60_000}
    >>> silence = Silence.model_validate({**planned, "comment": "a test"})
    >>> mutes = Mutes([upstream], [silence], labels)
    >>> mutes.of("recall_low", ["diverged"], 59_999), mutes.of("recall_low", [], 60_000)
    (['alert:diverged', 'silence:a test'], [])
    """

    def __init__(
        self, inhibitions: Sequence[Inhibition], silences: Sequence[Silence], labels_of: LabelsOf
    ) -> None:
        self._sources_of = _sources_of(inhibitions, labels_of)
        self._silences_of = {
            name: [silence for silence in silences if matches(silence.match, labels)]
            for name, labels in labels_of.items()
        }

    def of(self, rule: str, firing: Collection[str], ts_ms: int) -> list[str]:
        """What mutes a rule's notices: `alert:RULE` and `silence:COMMENT`, in order.

        Parameters
        ----------
        rule : str
            Whose notices.
        firing : collection of str
            The rules that fire.
        ts_ms : int
            Event time.
        """
        muted_by = [f"alert:{name}" for name in self._sources_of[rule] if name in firing]
        return muted_by + [
            f"silence:{silence.comment}"
            for silence in self._silences_of[rule]
            if silence.from_ <= ts_ms < silence.until
        ]


def check_mutes(
    inhibitions: Sequence[Inhibition], silences: Sequence[Silence], labels_of: LabelsOf
) -> None:
    """Check that each mute meets a rule, and that no rules mute each other.

    Raises
    ------
    ValueError
        If one does not: names the mute, and the label nearest to one that no rule has.
    """
    known = list(dict.fromkeys(name for labels in labels_of.values() for name in labels))
    for number, inhibition in enumerate(inhibitions):
        for side in ("source", "target"):
            _check_meets(f"inhibit.{number}.{side}", getattr(inhibition, side), labels_of, known)
        for name in inhibition.equal:
            if name not in known:
                raise ValueError(
                    f"inhibit.{number}.equal: no rule has the label {name!r}, so that all are "
                    f"alike in it; {nearest_text(name, known, 'labels')}"
                )
    for number, silence in enumerate(silences):
        _check_meets(f"silences.{number}.match", silence.match, labels_of, known)
    if circle := _circle(_sources_of(inhibitions, labels_of)):
        raise ValueError(
            f"inhibit: {' mutes '.join(circle)}: if they all fired, nobody would be told; make "
            "source or target narrower"
        )


def _check_meets(
    title: str,
    matchers: Mapping[str, str | Sequence[str]],
    labels_of: LabelsOf,
    known: Sequence[str],
) -> None:
    if any(matches(matchers, labels) for labels in labels_of.values()):
        return
    unknown = [name for name in matchers if name not in known]
    hint = (
        f"no rule has the label {unknown[0]!r}; {nearest_text(unknown[0], known, 'labels')}"
        if unknown and known
        else "compare it with the rules' labels (alertname is a rule's name), or take it out"
    )
    raise ValueError(f"{title}: {matchers_text(matchers)} matches no rule; {hint}")


def _sources_of(inhibitions: Sequence[Inhibition], labels_of: LabelsOf) -> dict[str, list[str]]:
    """For each rule those that mute it while they fire, in the order of rules."""
    pairs = {pair for one in inhibitions for pair in one.pairs(labels_of)}
    return {
        target: [source for source in labels_of if (source, target) in pairs]
        for target in labels_of
    }


def _circle(sources_of: Mapping[str, Collection[str]]) -> list[str]:
    """Rules of which each mutes the next, the first one last again; empty if there are none."""
    done: set[str] = set()
    for start in sources_of:
        path: list[str] = [start]
        waiting: list[Iterator[str]] = [iter(sources_of[start])]
        while waiting and start not in done:
            source = next(waiting[-1], None)
            if source is None:
                done.add(path.pop())
                waiting.pop()
            elif source in path:
                return [source, *reversed(path[path.index(source) :])]
            elif source not in done:
                path.append(source)
                waiting.append(iter(sources_of[source]))
    return []
