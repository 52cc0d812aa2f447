"""How the daemon is watched, what it logs and where it answers: settings of its wall-clock side."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from stream.durations import DurationMs
from stream.rule_naming import RuleName, refuse_unknown_keys, rule_title

Kind = Literal["silent", "lagging"]
Severity = Literal["page", "warning", "info"]
Level = Literal["debug", "info", "warning", "error"]

# The keys that belong to one kind only.
_LAGGING_KEYS = ("records", "behind")

# A lag swings with every fetch: for less than this it says nothing.
_LAGGING_FOR_MS = 30_000


def _some_time(duration_ms: int) -> int:
    if duration_ms == 0:
        raise ValueError("expected a time longer than 0, such as 30s or 10m")
    return duration_ms


_Time = Annotated[DurationMs, AfterValidator(_some_time)]


class WatchRule(BaseModel):
    """What is watched by the wall clock, and when somebody is told.

    Attributes
    ----------
    name : str
        Names the incident everywhere; `[a-z0-9_-]+`, each once.
    kind : str
        `silent`: no record is read; `lagging`: more waits to be read than should.
    for : duration
        `silent`: this long without a record. `lagging`: the lag must last this long before the
        rule fires, and be over for this long before it is resolved; 30s unless told.
    records : int, optional
        `lagging`: more than this many records wait to be read.
    behind : duration, optional
        `lagging`: records wait although the newest one read is older than this by the wall clock.
    severity : str
        For whoever is told: page, warning or info.
    description : str
        Told with every incident.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: RuleName
    kind: Kind
    for_: _Time | None = Field(default=None, alias="for")
    records: PositiveInt | None = None
    behind: _Time | None = None
    severity: Severity = "warning"
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        refuse_unknown_keys(cls, values)
        return values

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> "WatchRule":
        title = rule_title(self.name)
        if self.kind == "silent":
            for key in _LAGGING_KEYS:
                if getattr(self, key) is not None:
                    raise ValueError(
                        f"{title}: {key} belongs to kind lagging, but the rule is of kind silent; "
                        "its own key is for"
                    )
            if self.for_ is None:
                raise ValueError(f"{title}: kind silent needs for; write for example for: 10m")
        elif self.records is None and self.behind is None:
            raise ValueError(
                f"{title}: kind lagging needs records or behind, or both; write for example "
                "records: 100000 or behind: 5m"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The keys that a person would write, so that a written configuration reads back."""
        values = {name.rstrip("_"): value for name, value in handler(self).items()}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def for_ms(self) -> int:
        """How long what it watches must last."""
        return _LAGGING_FOR_MS if self.for_ is None else self.for_


def _default_rules() -> tuple[WatchRule, ...]:
    rules: list[dict[str, Any]] = [
        {"name": "silent", "kind": "silent", "for": 600_000},
        {"name": "lagging", "kind": "lagging", "behind": 300_000, "for": 60_000},
    ]
    return tuple(WatchRule.model_validate(rule) for rule in rules)


class WatchConfig(BaseModel):
    """The wall-clock watch.

    Who runs a daemon for months wants to hear that no click comes any more, or that it does not
    keep up, without having asked for it: a needless line in the log of a quiet night costs less
    than a week that nobody noticed. So two rules stand unless others are given: `silent` for 10m,
    and `lagging` more than 5m behind for 1m. `rules: []` turns them off.

    Attributes
    ----------
    rules : tuple of WatchRule
        Each with a name of its own.
    every : duration
        How often they are looked at.
    stuck_after : duration
        A loop that has not come round for this long is stuck: its stack is logged, `/healthz`
        says so, and the service manager is no longer told that all is well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[WatchRule, ...] = _default_rules()
    every: _Time = 1_000
    stuck_after: _Time = 120_000

    @model_validator(mode="after")
    def _names_differ(self) -> "WatchConfig":
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(
                    f"two rules are named {rule.name!r}; give each a name of its own, such as "
                    f"{rule.name}_2"
                )
            seen.add(rule.name)
        return self


class LogConfig(BaseModel):
    """The log, on standard error.

    Attributes
    ----------
    level : str
        The least that is written: debug, info, warning or error. The Kafka client's own lines
        come from warning on, and all of them with debug.
    format : str
        console: a readable line; json: one JSON object a line, for whoever collects logs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level = "info"
    format: Literal["console", "json"] = "console"


class ServerConfig(BaseModel):
    """Where the daemon answers how it is.

    Attributes
    ----------
    host : str
        The address it listens on; this machine alone unless told. `0.0.0.0` is every network.
    port : int, optional
        None for no server, 0 for any free port: the log tells which.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] | None = 8080
