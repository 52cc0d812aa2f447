"""What can be set of the transformer and of how it learns."""

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from learners.finetuner import FineTunerConfig
from learners.item_content import ItemContentConfig
from learners.objective import ObjectiveConfig
from learners.sampling import SamplingConfig
from learners.shown_tasks import TasksConfig
from learners.user_tower import TowerConfig, TowerShape


class TransformerConfig(BaseModel):
    """The transformer and how it learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    history_items: int = Field(default=50, ge=1, le=2_000)
    """Last clicks of a user that the transformer reads."""
    width: int = Field(default=64, ge=2, le=4_096)
    layers: int = Field(default=2, ge=1, le=48)
    heads: int = Field(default=2, ge=1, le=64)
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    temperature: PositiveFloat | None = 16.0
    """Factor on the cosine of state and item; null takes their plain product instead."""
    minibatch: PositiveInt = 64
    """New clicks that one optimizer step learns."""
    replay_ratio: NonNegativeFloat = 2.0
    """Replayed positions for each new click."""
    replay_sequences: int = Field(default=40_000, ge=2)
    """Places of the replay buffer: half for a sample of all clicks, half for the latest."""
    replay_recent: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the replayed sequences that comes from the latest clicks."""
    average_decay: float = Field(default=0.97, ge=0.0, lt=1.0)
    """How slowly the served weights follow the trained ones; 0 serves the last step's."""
    click_memory: PositiveFloat = 300.0
    """Clicks after which the answer to a shown item is all but forgotten by the click head."""
    tower: TowerConfig = TowerConfig()
    tasks: TasksConfig = TasksConfig()
    content: ItemContentConfig = ItemContentConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: FineTunerConfig = FineTunerConfig()
    sampling: SamplingConfig = SamplingConfig()
    seed: int = Field(default=0, ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA, in bf16, where there is one; else the CPU in fp32."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "TransformerConfig":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} must be a multiple of 2 x heads ({2 * self.heads}): "
                "rotary positions turn pairs of components"
            )
        return self

    @property
    def shape(self) -> TowerShape:
        """What is asked of the tower; it reads the learned start besides the history."""
        positions = self.history_items + 1
        return TowerShape(positions, self.width, self.layers, self.heads, self.dropout)
