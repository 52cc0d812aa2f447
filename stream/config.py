"""The YAML file as one model, composed of each owner's own settings.

Every key has a default: an empty file is a valid configuration.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluators.alert_rules import AlertsConfig
from evaluators.prequential import EvaluatorConfig
from evaluators.ranking import RankingConfig
from evaluators.reaction_settings import check_switch
from evaluators.rule_checks import check_rules
from evaluators.vocabulary import MODEL_METRICS, OFF_POLICY_METRICS, STEP_METRICS, family_of
from evaluators.worse_than import check_rivals
from learners.blend import BlendConfig
from learners.item_neighbours import ItemNeighboursConfig
from learners.popularity import PopularityConfig
from learners.session_neighbours import SessionNeighboursConfig
from learners.transformer_config import TransformerConfig
from stream.catalogue import CatalogueConfig
from stream.checkpoint import CheckpointConfig
from stream.delivery.settings import Delivery, check_titles
from stream.histories import HistoriesConfig
from stream.input_settings import InputsConfig
from stream.joiner import JoinerConfig
from stream.kafka.settings import KafkaOutputsConfig, KafkaSourceConfig
from stream.live.settings import LogConfig, ServerConfig, WatchConfig
from stream.sinks.segments import FilesConfig
from stream.sources.batching import BatchConfig
from stream.sources.file import FileSourceConfig

LearnerName = Literal["blend", "transformer", "popularity", "item_knn", "session_knn", "counting"]
# They also say how likely a click on an item of a list is.
_WITH_WEIGHTS = ("blend", "transformer")
_CHEAP: tuple[LearnerName, ...] = ("popularity", "item_knn", "session_knn")


class SourceConfig(FileSourceConfig):
    """Where events come from: what a replay reads of its files, or the topics of a daemon."""

    kafka: KafkaSourceConfig | None = None


class OutputsConfig(BaseModel):
    """Where records go: files of the run, and topics beside them.

    `files` bounds the files of a daemon: those of a replay are whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: FilesConfig = FilesConfig()
    kafka: KafkaOutputsConfig | None = None


class AlertsSettings(AlertsConfig):
    """What is watched, and who is told of it beside the log, the files and the topics.

    `deliver` is no part of what a run must share with the one it goes on from, and is read when a
    process starts.
    """

    deliver: tuple[Delivery, ...] = ()

    @model_validator(mode="after")
    def _destinations_differ(self) -> "AlertsSettings":
        check_titles(self.deliver)
        return self


class FreshrankConfig(BaseModel):
    """Everything that can be set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_from: Path | None = None
    """Folder of a run whose tables and weights a new run begins with; see `stream.taking_over`."""
    source: SourceConfig = SourceConfig()
    batch: BatchConfig = BatchConfig()
    catalogue: CatalogueConfig = CatalogueConfig()
    histories: HistoriesConfig = HistoriesConfig()
    inputs: InputsConfig = InputsConfig()
    joiner: JoinerConfig = JoinerConfig()
    ranking: RankingConfig = RankingConfig()
    champion: LearnerName = "blend"
    """Whose ranking is the product's."""
    shadows: tuple[LearnerName, ...] = ("transformer", *_CHEAP)
    """Learners that are judged beside the champion on the same queries. Unset: popularity and the
    neighbour methods but for the champion itself, and with `blend` the transformer, which is a
    part of it."""
    blend: BlendConfig = BlendConfig()
    learner: TransformerConfig = TransformerConfig()
    popularity: PopularityConfig = PopularityConfig()
    item_knn: ItemNeighboursConfig = ItemNeighboursConfig()
    session_knn: SessionNeighboursConfig = SessionNeighboursConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    alerts: AlertsSettings = AlertsSettings()
    checkpoint: CheckpointConfig = CheckpointConfig()
    outputs: OutputsConfig = OutputsConfig()
    watch: WatchConfig = WatchConfig()
    log: LogConfig = LogConfig()
    server: ServerConfig = ServerConfig()
    threads: int | None = Field(default=None, ge=1, le=256)
    """CPU threads of the learner; bits are the same only for the same number. Unset: all cores
    up to eight, and after a resume the number that the checkpoint was made with."""

    @model_validator(mode="before")
    @classmethod
    def _others_are_shadows(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "shadows" in given or "champion" not in given:
            return given
        champion = given["champion"]
        if champion == "blend":
            return given
        return given | {"shadows": [name for name in _CHEAP if name != champion]}

    @model_validator(mode="after")
    def _learners_differ(self) -> "FreshrankConfig":
        names = [self.champion, *self.shadows]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is named more than once as champion or shadow")
        return self

    @model_validator(mode="after")
    def _nothing_feeds_itself(self) -> "FreshrankConfig":
        if self.source.kafka is None or self.outputs.kafka is None:
            return self
        read = {topic.name for topic in self.source.kafka.topics}
        for output, topic in self.outputs.kafka.topics().items():
            if topic in read:
                raise ValueError(
                    f"outputs.kafka.{output}: {topic} is one of source.kafka.topics: what is "
                    "written there would be read again; name another topic"
                )
        return self

    @model_validator(mode="after")
    def _rules_can_be_followed(self) -> "FreshrankConfig":
        check_rules(self.alerts, self.ranking.ks)
        learners = (self.champion, *self.shadows)
        check_rivals(self.alerts, self.ranking.ks, learners, _WITH_WEIGHTS)
        check_switch(self.alerts.reactions.switch, self.ranking.ks)
        for rule in self.alerts.rules:
            if rule.react in ("boost", "rollback") and self.champion not in _WITH_WEIGHTS:
                raise ValueError(
                    f"alerts.rules: {rule.name}: react {rule.react} needs a champion with weights, "
                    f"got {self.champion}; set champion: blend or transformer, or react: none or "
                    "freeze"
                )
            if rule.react == "switch" and not self.shadows:
                raise ValueError(
                    f"alerts.rules: {rule.name}: react switch serves the best shadow, and there is "
                    "none; name some, such as shadows: [session_knn, popularity]"
                )
            family = family_of(rule.metric)
            if family is not None and not getattr(self.evaluator, family).enabled:
                raise ValueError(
                    f"alerts.rules: {rule.name}: {rule.metric} is not judged; set "
                    f"evaluator.{family}.enabled: true"
                )
            if rule.metric in MODEL_METRICS and self.champion not in _WITH_WEIGHTS:
                raise ValueError(
                    f"alerts.rules: {rule.name}: {rule.metric} judges click probabilities, and "
                    f"{self.champion} gives none; set champion: blend or transformer, or watch ctr"
                )
            is_of_champion = rule.metric in OFF_POLICY_METRICS and rule.policy is None
            if is_of_champion and self.evaluator.off_policy.temperature is None:
                raise ValueError(
                    f"alerts.rules: {rule.name}: {rule.metric} judges a policy made of the "
                    "champion, and none is asked about; set evaluator.off_policy.temperature: 1.0, "
                    "or name as policy one whose probabilities come with the lists"
                )
            if rule.metric in STEP_METRICS and self.champion not in _WITH_WEIGHTS:
                raise ValueError(
                    f"alerts.rules: {rule.name}: {rule.metric} judges optimizer steps, and "
                    f"{self.champion} takes none; set champion: blend or transformer"
                )
        return self


def judged(alerts: AlertsConfig) -> AlertsConfig:
    """What decides which notices there are: all settings of alerts but who is told."""
    fields = {name: getattr(alerts, name) for name in AlertsConfig.model_fields}
    return AlertsConfig.model_construct(**fields)
