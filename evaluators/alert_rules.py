"""Alert rules as they are written, and what is refused before the first event.

A rule watches one figure over one window. `below` and `above` compare it with a threshold, `drop`
with its own trailing reference, `worse_than` champion with shadow.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from evaluators.annotations import Annotations, check_fields
from evaluators.mutes import Inhibitions, Silences, check_mutes
from evaluators.rule_labels import Labels, Runbook
from evaluators.vocabulary import (
    METRICS_BY_POLICY,
    OFF_POLICY_METRICS,
    POLICY_METRICS,
    metric_ranges,
    nearest_metric,
)
from stream.durations import DurationMs, Span, SpanSetting, format_duration_ms
from stream.rule_naming import RuleName, refuse_unknown_keys, rule_title

Kind = Literal["below", "above", "drop", "worse_than"]
Reaction = Literal["none", "boost", "freeze", "rollback"]

# The keys that belong to some kinds only; those named first are required.
_KEYS_OF: dict[Kind, tuple[str, ...]] = {
    "below": ("threshold", "clear"),
    "above": ("threshold", "clear"),
    "drop": ("share", "reference", "clear_share"),
    "worse_than": ("shadow", "margin", "arl_events"),
}
_REQUIRED_OF: dict[Kind, tuple[str, ...]] = {
    "below": ("threshold",),
    "above": ("threshold",),
    "drop": ("share", "reference"),
    "worse_than": ("shadow",),
}
_EXAMPLE_OF = {
    "threshold": "0.18",
    "share": "0.2",
    "reference": "7d or 50000 events",
    "shadow": "session_knn",
}

_Factor = Annotated[float, Field(ge=1.0, le=100.0)]
_Limit = Annotated[DurationMs, Field(gt=0)]


class Rule(BaseModel):
    """What is watched, when it fires, and what then happens.

    Attributes
    ----------
    name : str
        Names the alert everywhere; `[a-z0-9_-]+`, each once.
    kind : str
        `below` or `above` a threshold, a `drop` by a share of its own reference, or `worse_than`
        a shadow.
    metric : str
        The champion's figure, such as `recall@20` or `ctr`.
    over : str
        The window it is read from: total, events, time or faded.
    policy : str, optional
        Of a click figure: the lists of this policy alone.
    threshold : float
        `below`, `above`: crossed strictly, the condition is true.
    clear : float, optional
        `below`, `above`: while it fires, the condition stays true until the value has reached
        this level, on the good side of `threshold`.
    share : float
        `drop`: true while the value is below (1 - share) x reference; in (0, 1).
    reference : span
        `drop`: the reference is the mean of the rule's own readings over this much of the stream
        before; it stands still while the rule is pending or fires. A rule that has fired for as
        long as this takes the new level for normal and resolves.
    clear_share : float, optional
        `drop`: like `clear`: it resolves at (1 - clear_share) x reference.
    shadow : str
        `worse_than`: the shadow that the champion is compared with, sample by sample; see
        `WorseThan` for when the condition becomes true, and when it ends.
    margin : float, optional
        `worse_than`: by how much the champion may be worse, in units of the metric; 0 if unset.
    arl_events : float, optional
        `worse_than`: samples up to a false alarm, at least this many on average; a million if
        unset.
    for : span
        How long the condition must be true before the rule fires: `30m` or `5000 events`.
    keep_firing_for : span
        How long the condition must be false before a rule that fires resolves.
    min_samples : int
        With fewer samples behind the figure the state is held.
    severity : str
        For whoever is told: page, warning or info.
    react : str
        What the loop does about it: none, boost, freeze or rollback.
    description : str
        Told with every notice.
    labels : mapping of str to str
        For whoever is told, and for `inhibit` and `silences`: `team: shop`.
    annotations : mapping of str to str
        Texts told with every notice, in which its figures stand: `CTR is {value:.1%}`.
    runbook : str, optional
        Where it says what to do: an address or a path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: RuleName
    kind: Kind
    metric: str
    over: Literal["total", "events", "time", "faded"] = "time"
    policy: str | None = None
    threshold: FiniteFloat | None = None
    clear: FiniteFloat | None = None
    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    reference: SpanSetting | None = None
    clear_share: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    shadow: str | None = None
    margin: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    arl_events: Annotated[float, Field(ge=1_000.0, le=1e15)] | None = None
    for_: SpanSetting = Field(default=Span(time_ms=0), alias="for")
    keep_firing_for: SpanSetting = Span(time_ms=0)
    min_samples: PositiveInt = 100
    severity: Literal["page", "warning", "info"] = "warning"
    react: Reaction = "none"
    description: str = ""
    labels: Labels = {}
    annotations: Annotations = {}
    runbook: Runbook | None = None

    def __hash__(self) -> int:
        return hash(self.name)  # the mappings in it have no hash

    @property
    def all_labels(self) -> dict[str, str]:
        """Its own labels, and those that every rule has by its other keys."""
        policy = {} if self.policy is None else {"policy": self.policy}
        return {
            "alertname": self.name,
            "severity": self.severity,
            "kind": self.kind,
            "metric": self.metric,
            "over": self.over,
            **policy,
            **self.labels,
        }

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        refuse_unknown_keys(cls, values)
        return values

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> "Rule":
        title, own_keys = rule_title(self.name), _KEYS_OF[self.kind]
        for key in sorted({key for keys in _KEYS_OF.values() for key in keys}):
            if key not in own_keys and getattr(self, key) is not None:
                owners = [kind for kind, keys in _KEYS_OF.items() if key in keys]
                raise ValueError(
                    f"{title}: {key} belongs to kind {' and '.join(owners)}, but the rule is of "
                    f"kind {self.kind}; its own keys are {', '.join(own_keys)}"
                )
        for key in _REQUIRED_OF[self.kind]:
            if getattr(self, key) is None:
                raise ValueError(
                    f"{title}: kind {self.kind} needs {key}; write for example "
                    f"{key}: {_EXAMPLE_OF[key]}"
                )
        self._check_clear_level(title)
        for name, template in self.annotations.items():
            try:
                check_fields(name, template, self.labels)
            except ValueError as err:
                raise ValueError(f"{title}: {err}") from err
        if self.reference is not None and self.reference.size == 0:
            raise ValueError(f"{title}: reference is 0; write for example 7d or 50000 events")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The keys that a person would write, so that a written configuration reads back."""
        values = {name.rstrip("_"): value for name, value in handler(self).items()}
        return {key: value for key, value in values.items() if value is not None}

    def _check_clear_level(self, title: str) -> None:
        if self.clear is not None and self.threshold is not None:
            beyond = self.clear - self.threshold
            if not (beyond > 0 if self.kind == "below" else beyond < 0):
                side = "above" if self.kind == "below" else "below"
                raise ValueError(
                    f"{title}: clear {self.clear:g} must lie {side} threshold {self.threshold:g}, "
                    "where the figure is good again; move it or leave it out"
                )
        share = 1.0 if self.share is None else self.share
        if self.clear_share is not None and self.clear_share >= share:
            raise ValueError(
                f"{title}: clear_share {self.clear_share:g} must be smaller than share "
                f"{share:g}; lower it or leave it out"
            )


class BoostConfig(BaseModel):
    """How much faster the champion learns while a `boost` rule fires, and for how long at most.

    Attributes
    ----------
    replay_factor : float
        Times `learner.replay_ratio`; 1 .. 100.
    learning_rate_factor : float
        Times the learning rate; 1 .. 100.
    at_most : duration
        Event time after which a boost ends although the rule still fires.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    replay_factor: _Factor = 2.0
    learning_rate_factor: _Factor = 1.5
    at_most: _Limit = 86_400_000


class FreezeConfig(BaseModel):
    """How long at most the champion stops learning while a `freeze` rule fires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_most: _Limit = 86_400_000


class RollbackConfig(BaseModel):
    """How often at most weights go back to an anchor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_most_every: _Limit = 86_400_000


class ReactionsConfig(BaseModel):
    """The bounds of what alerts may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boost: BoostConfig = BoostConfig()
    freeze: FreezeConfig = FreezeConfig()
    rollback: RollbackConfig = RollbackConfig()


class AlertsConfig(BaseModel):
    """What is watched, how often, and what may be done about it.

    Attributes
    ----------
    evaluate_every : duration
        Rules are looked at where event time passes a multiple of this; at least a second.
    rules : tuple of Rule
        Each with a name of its own.
    inhibit : tuple of Inhibition
        Which rules, while they fire, mute the notices of which others.
    silences : tuple of Silence
        Whose notices are muted for a stretch of event time.
    reactions : ReactionsConfig
        The bounds of what they may do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    evaluate_every: Annotated[DurationMs, Field(ge=1_000)] = 60_000
    rules: tuple[Rule, ...] = ()
    inhibit: Inhibitions = ()
    silences: Silences = ()
    reactions: ReactionsConfig = ReactionsConfig()

    @model_validator(mode="after")
    def _names_differ(self) -> "AlertsConfig":
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(
                    f"two rules are named {rule.name!r}; give each a name of its own, such as "
                    f"{rule.name}_2"
                )
            seen.add(rule.name)
        return self

    @model_validator(mode="after")
    def _mutes_meet_rules(self) -> "AlertsConfig":
        check_mutes(self.inhibit, self.silences, self.labels_of_rules)
        return self

    @property
    def labels_of_rules(self) -> dict[str, dict[str, str]]:
        """All labels of each rule, by its name."""
        return {rule.name: rule.all_labels for rule in self.rules}


def check_rules(config: AlertsConfig, ks: tuple[int, ...]) -> None:
    """Check the rules against what is judged.

    Parameters
    ----------
    config : AlertsConfig
        The rules.
    ks : tuple of int
        The list lengths of `ranking.ks`: they decide which figures exist.

    Raises
    ------
    ValueError
        If a rule watches a figure that does not exist, compares it with what it can never
        reach, or would learn or unlearn for a figure that another policy earned.
    """
    ranges = metric_ranges(ks)
    for rule in config.rules:
        title = f"alerts.rules: {rule_title(rule.name)}"
        if rule.metric not in ranges:
            lengths = f" (ranking.ks: {', '.join(map(str, ks))})" if "@" in rule.metric else ""
            raise ValueError(
                f"{title}: metric {rule.metric!r} does not exist{lengths}; "
                f"did you mean {nearest_metric(rule.metric, ks)!r}?"
            )
        if rule.policy is not None and rule.metric not in METRICS_BY_POLICY:
            raise ValueError(
                f"{title}: {rule.metric} is not kept by policy, got policy {rule.policy!r}; leave "
                f"it out or watch one of {', '.join(sorted(METRICS_BY_POLICY))}"
            )
        _check_levels(title, rule, ranges[rule.metric])
        _check_reference(title, rule, config.evaluate_every)
        whose = "the policy that showed the lists" if rule.metric in POLICY_METRICS else None
        if rule.metric in OFF_POLICY_METRICS and rule.policy is not None:
            whose = f"the policy {rule.policy!r}"
        if rule.react in ("freeze", "rollback") and whose is not None:
            raise ValueError(
                f"{title}: react {rule.react} is refused on {rule.metric}: {whose} "
                "earned it, not the champion's weights; write react: boost or none, or "
                "watch a ranking figure such as recall"
            )


def _check_reference(title: str, rule: Rule, every_ms: int) -> None:
    """A reference without a step in it is never known."""
    stretch_ms = None if rule.reference is None else rule.reference.time_ms
    if stretch_ms is not None and stretch_ms < 2 * every_ms:
        raise ValueError(
            f"{title}: reference {rule.reference} holds fewer than two steps of evaluate_every "
            f"{format_duration_ms(every_ms)}; write a longer reference, such as "
            f"{format_duration_ms(100 * every_ms)}"
        )


def _check_levels(title: str, rule: Rule, metric_range: tuple[float, float]) -> None:
    low, high = metric_range
    for key, level in (("threshold", rule.threshold), ("clear", rule.clear)):
        if level is not None and not low <= level <= high:
            raise ValueError(
                f"{title}: {key} {level:g} is outside the range of {rule.metric}; write a number "
                f"{_between(low, high)}"
            )
    never = low if rule.kind == "below" else high
    if rule.threshold == never:
        raise ValueError(
            f"{title}: {rule.metric} is never {rule.kind} {never:g}, so the rule could not fire; "
            f"write a threshold {'above' if rule.kind == 'below' else 'below'} that"
        )


def _between(low: float, high: float) -> str:
    return f"between {low:g} and {high:g}" if math.isfinite(high) else f"of at least {low:g}"
