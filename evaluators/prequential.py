"""Judges each prediction before anyone learns from its answer: the ranking, and the clicks."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from evaluators.business import BusinessConfig, BusinessJudge
from evaluators.click_figures import CLICK_METRICS
from evaluators.clicks import ClickJudge, ClicksConfig
from evaluators.confidence_sequence import INTERVAL_ALPHA
from evaluators.conversions import CONVERSION_METRICS, ConversionJudge
from evaluators.experience import ExperienceConfig, ExperienceJudge
from evaluators.group_clicks import GroupClicks
from evaluators.interests import InterestsConfig, InterestsJudge
from evaluators.item_groups import GroupsConfig, ItemGroups
from evaluators.offpolicy import OffPolicyConfig, OffPolicyJudge
from evaluators.offpolicy_estimates import OFF_POLICY_METRICS
from evaluators.paired_streams import PairedStreams
from evaluators.ranking import RankingConfig
from evaluators.ranking_judge import RankingJudge
from evaluators.satisfaction import SatisfactionConfig, SatisfactionJudge
from evaluators.slice_rows import SlicesConfig
from evaluators.slices import SliceJudge
from evaluators.steps import STEP_METRICS, StepJudge
from evaluators.user_bootstrap import BootstrapConfig, UserBootstrap
from evaluators.vocabulary import WINDOWS, family_of, nearest_metric
from evaluators.windows import WindowSizes
from stream.durations import DurationMs
from stream.errors import CheckpointError
from stream.values import Changes, Float64s, Outcomes, Reading, Record, State

DETAILS = ("exposure", "interests", "slices")
"""What families put into a record beside figures and counts."""

_SCHEMA_VERSION = 4


class EvaluatorConfig(BaseModel):
    """Over what the figures are taken, and how often they are written.

    Attributes
    ----------
    window_events : int
        Samples in the window `events`; each takes a byte for each learner, and each shown item
        8 more for each learner that estimates clicks.
    window_time : duration
        Event time in the window `time`, kept in 60 buckets; at least a second.
    fade : float
        Weight that the window `faded` keeps per sample; 0.9999 halves a sample in 6,931.
    emit_events : int
        Clicks and shown items judged between two records.
    off_policy : OffPolicyConfig
        Which policy is judged that did not show the lists.
    clicks : ClicksConfig
        From which probability on a click is expected.
    groups : GroupsConfig
        Into which groups items are sorted.
    experience : ExperienceConfig
        Coverage, Gini, diversity, novelty, personalisation and exposure of the champion's lists.
    interests : InterestsConfig
        How the groups of items that are clicked change.
    satisfaction : SatisfactionConfig
        Likes, ratings and dwelling.
    business : BusinessConfig
        Revenue and active users.
    bootstrap : BootstrapConfig
        Intervals of differences from shadows by user.
    slices : SlicesConfig
        Ranking and clicks by users, items, places and requests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_events: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    window_time: Annotated[DurationMs, Field(ge=1_000)] = 3_600_000
    fade: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9999
    emit_events: PositiveInt = 1000
    off_policy: OffPolicyConfig = OffPolicyConfig()
    clicks: ClicksConfig = ClicksConfig()
    groups: GroupsConfig = GroupsConfig()
    experience: ExperienceConfig = ExperienceConfig()
    interests: InterestsConfig = InterestsConfig()
    satisfaction: SatisfactionConfig = SatisfactionConfig()
    business: BusinessConfig = BusinessConfig()
    bootstrap: BootstrapConfig = BootstrapConfig()
    slices: SlicesConfig = SlicesConfig()


class Family(Protocol):
    """Figures of one kind, judged or left out together.

    `record` is what a record holds of them: `metrics`, perhaps `counts`, and keys of its own.
    """

    def update(self, outcomes: Outcomes) -> None: ...

    def follow(self, changes: Changes) -> None: ...

    def record(self) -> Record: ...

    def reading(self, metric: str, over: str) -> Reading | None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class PrequentialEvaluator:
    """Figures of ranking, clicks and conversions of each learner over four windows, compared.

    A record holds, under `metrics`, each figure's value over each window and the samples behind
    it; a window without a sample is left out. Shares of what was shown also have an `interval`,
    where they lie with 95 % confidence at one look; see `share_interval`, and for the estimates of
    what the champion would have had `Moments`. `policies` holds the click figures of each logging
    policy, and estimates for those whose probabilities came with lists; `reliability` holds the
    champion's probabilities against what was clicked. For each shadow, `difference` is the
    champion's figure less the shadow's on the same samples since start, and `interval`, of ranking
    figures and log losses, is where that difference lies with 95 % confidence at all times at once
    (each interval for itself; see `confidence_sequence`). `interval_by_user`, of ranking figures,
    is where it lies for other users of the same kind, at one look; see `UserBootstrap`. A record
    is written by the first batch after which another `emit_events` clicks and shown items were
    judged.

    Memory is bounded: see `RankingJudge`, `ClickJudge`, `ConversionJudge` and `OffPolicyJudge`.
    With the default settings and without lists it is 20 KiB for the champion and 24 KiB for each
    shadow.

    Parameters
    ----------
    config : EvaluatorConfig
        Windows and rhythm.
    ranking : RankingConfig
        Lengths of list. Every learner must predict lists of at least the longest.
    learners : sequence of str
        Names of the learners judged, the champion's first.

    Raises
    ------
    ValueError
        If there is no learner, or a name comes twice.
    """

    def __init__(
        self, config: EvaluatorConfig, ranking: RankingConfig, learners: Sequence[str]
    ) -> None:
        if not learners or len(set(learners)) != len(learners):
            raise ValueError(f"expected learners with different names, got {list(learners)}")
        sizes = WindowSizes(config.window_events, config.window_time, config.fade)
        self._ranking = RankingJudge(ranking, learners, sizes)
        self._clicks = ClickJudge(learners, sizes, config.clicks)
        self._conversions = ConversionJudge(learners, sizes)
        self._steps = StepJudge(sizes)
        self._off_policy = OffPolicyJudge(learners[0], config.off_policy, sizes)
        self._groups = ItemGroups(config.groups)
        self._group_clicks = GroupClicks(self._groups.max_groups, sizes)
        self._paired = PairedStreams(
            learners[1:], ranking.ks, self._ranking, self._clicks, self._conversions
        )
        self._bootstrap = self._made_bootstrap(config.bootstrap, len(learners) - 1)
        self._families = self._made_families(config, learners[0], max(ranking.ks), sizes)
        self._shadows = list(learners[1:])
        self._ks = ranking.ks
        self._emit_events = config.emit_events
        # Counts made under other settings mean something else and must not be gone on with.
        self._settings: State = {
            "learners": list(learners),
            "ks": list(ranking.ks),
            "exclude_seen": ranking.exclude_seen,
            "window_events": config.window_events,
            "window_time_ms": config.window_time,
            "fade": config.fade,
            "off_policy": config.off_policy.model_dump(),
            "threshold": config.clicks.threshold,
            "groups": config.groups.model_dump(mode="json"),
            "families": list(self._families),
            "cohorts": list(config.interests.cohorts),
            "slices": config.slices.model_dump(mode="json"),
            "bootstrap": config.bootstrap.model_dump(),
        }
        self._seq = -1
        self._watermark_ms = 0
        self._join_counts: dict[str, int] = {}

    def update(self, outcomes: Outcomes) -> list[Record]:
        n_judged_before = self._n_judged()
        self._ranking.update(outcomes)
        if self._bootstrap is not None:
            user_N = outcomes.user_B[outcomes.is_sample_B]
            self._bootstrap.update(self._ranking.last_rank_LN, user_N)
        self._clicks.update(outcomes.matured, outcomes.conversions, outcomes.watermark_ms)
        self._conversions.update(outcomes.predicted_conversions, outcomes.watermark_ms)
        self._steps.update(outcomes.steps, outcomes.watermark_ms)
        self._off_policy.update(outcomes.matured, outcomes.watermark_ms)
        self._groups.make_room(outcomes.queries.n_items)
        self._group_clicks.update(outcomes, self._groups.of(outcomes.answer_B))
        for family in self._families.values():
            family.update(outcomes)
        self._groups.count(outcomes.answer_B)  # how popular an item was is known before the click
        self._seq = outcomes.seq
        self._watermark_ms = outcomes.watermark_ms
        self._join_counts = dict(outcomes.join_counts)
        is_due = self._n_judged() // self._emit_events > n_judged_before // self._emit_events
        return [self.metrics()] if is_due else []

    def follow(self, changes: Changes) -> None:
        self._groups.follow(changes)
        for family in self._families.values():
            family.follow(changes)

    def metrics(self) -> Record:
        ranking, shadows = self._ranking.metrics()
        if self._bootstrap is not None:
            self._bootstrap.add_intervals(shadows, INTERVAL_ALPHA)
        clicks = self._clicks.metrics()
        conversions = self._conversions.metrics()
        of_lists = self._clicks.shadows(clicks), self._conversions.shadows(conversions)
        for shadow, of_clicks, of_conversions in zip(shadows, *of_lists, strict=True):
            shadow |= {**of_clicks, **of_conversions}
        families, family_counts, details = dict[str, Record](), dict[str, int](), Record()
        for family in self._families.values():
            told = family.record()
            families |= told.pop("metrics")
            family_counts |= told.pop("counts", {})
            details |= told
        record = {
            "seq": self._seq,
            "name": "metrics",
            "events": self._ranking.n_clicks,
            "watermark_ms": self._watermark_ms,
            "metrics": {
                **ranking,
                **clicks,
                **conversions,
                **self._steps.metrics(),
                **self._off_policy.metrics(),
                **families,
            },
            "shadows": dict(zip(self._shadows, shadows, strict=True)),
            "policies": _joined(self._clicks.policies(), self._off_policy.policies()),
            "counts": {
                **self._join_counts,
                **self._ranking.counts(),
                **self._clicks.counts(),
                **self._conversions.counts(),
                **self._steps.counts(),
                **self._off_policy.counts(),
                **family_counts,
            },
        }
        if reliability := self._clicks.reliability():
            record["reliability"] = reliability
        return record | details

    def reading(self, metric: str, over: str, policy: str | None = None) -> Reading | None:
        if over not in WINDOWS:
            raise ValueError(f"expected a window out of {', '.join(WINDOWS)}, got {over}")
        if metric in CLICK_METRICS:
            return self._clicks.reading(metric, over, policy)
        if metric in OFF_POLICY_METRICS:
            return self._off_policy.reading(metric, over, policy)
        kind = family_of(metric)
        known = (*self._ranking.figures, *CONVERSION_METRICS, *STEP_METRICS)
        if kind is None and metric not in known:
            raise ValueError(
                f"no metric is called {metric}; did you mean {nearest_metric(metric, self._ks)}?"
            )
        if policy is not None:
            raise ValueError(f"{metric} is not kept by policy; leave the policy out")
        if metric in CONVERSION_METRICS:
            return self._conversions.reading(metric, over)
        if kind is not None:
            return self._families[kind].reading(metric, over) if kind in self._families else None
        if metric in STEP_METRICS:
            return self._steps.reading(over)
        return self._ranking.reading(metric, over)

    def lead(self, shadow: str, metric: str, over: str) -> Reading | None:
        return self._paired.lead(shadow, metric, over)

    def leads(self, shadow: str, metric: str) -> Float64s:
        return self._paired.leads(shadow, metric)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "settings": self._settings,
            "ranking": self._ranking.state_dict(),
            "clicks": self._clicks.state_dict(),
            "conversions": self._conversions.state_dict(),
            "steps": self._steps.state_dict(),
            "off_policy": self._off_policy.state_dict(),
            "groups": self._groups.state_dict(),
            "group_clicks": self._group_clicks.state_dict(),
            "bootstrap": None if self._bootstrap is None else self._bootstrap.state_dict(),
            "families": {name: family.state_dict() for name, family in self._families.items()},
            "seq": self._seq,
            "watermark_ms": self._watermark_ms,
            "join_counts": self._join_counts,
        }

    def load_state_dict(self, state: State) -> None:
        if state["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"evaluator: the checkpoint's state has version {state['schema_version']}, "
                f"expected {_SCHEMA_VERSION}; resume with the release that wrote it"
            )
        for key, value in self._settings.items():
            if state["settings"][key] != value:
                raise CheckpointError(
                    f"evaluator: the checkpoint was made with {key} {state['settings'][key]}, the "
                    f"configuration has {value}; set it back or start from an empty checkpoint.dir"
                )
        self._ranking.load_state_dict(state["ranking"])
        self._clicks.load_state_dict(state["clicks"])
        self._conversions.load_state_dict(state["conversions"])
        self._steps.load_state_dict(state["steps"])
        self._off_policy.load_state_dict(state["off_policy"])
        self._groups.load_state_dict(state["groups"])
        self._group_clicks.load_state_dict(state["group_clicks"])
        if self._bootstrap is not None:
            self._bootstrap.load_state_dict(state["bootstrap"])
        for name, family in self._families.items():
            family.load_state_dict(state["families"][name])
        self._seq = state["seq"]
        self._watermark_ms = state["watermark_ms"]
        self._join_counts = dict(state["join_counts"])

    def _made_families(
        self, config: EvaluatorConfig, champion: str, k: int, sizes: WindowSizes
    ) -> dict[str, Family]:
        """The families that are judged, by the name of their settings."""
        families: dict[str, Family] = {}
        if config.experience.enabled:
            families["experience"] = ExperienceJudge(
                champion, k, sizes, self._groups, self._group_clicks
            )
        if config.interests.enabled:
            families["interests"] = InterestsJudge(
                config.interests, sizes, self._groups, self._group_clicks
            )
        if config.satisfaction.enabled:
            families["satisfaction"] = SatisfactionJudge(sizes)
        if config.business.enabled:
            families["business"] = BusinessJudge(config.business, sizes)
        if config.slices.enabled:
            families["slices"] = SliceJudge(config.slices, champion, k, sizes, self._groups)
        return families

    def _made_bootstrap(self, config: BootstrapConfig, n_shadows: int) -> UserBootstrap | None:
        if not config.enabled or not n_shadows:
            return None
        return UserBootstrap(config, 1 + n_shadows, self._ranking.compared_FR)

    def _n_judged(self) -> int:
        return self._ranking.n_clicks + self._clicks.n_shown


def _joined(one: Record, other: Record) -> Record:
    """The figures of both, by policy."""
    names = [*one, *(name for name in other if name not in one)]
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in names}
