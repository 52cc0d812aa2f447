"""LoRA: small matrices beside the frozen ones of a pretrained model are all that learns [1]_.

References
----------
.. [1] Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022.
"""

import importlib
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import nn
from transformers import PreTrainedModel

from learners.pretrained import first_line
from stream.errors import ConfigError

# Adapters begin as no change at all, whatever is drawn: one seed serves every run.
_SEED = 0
# Makes of the first state something that nobody asks for.
_UNREAD = r".*\bpooler\b.*"


class LoraConfig(BaseModel):
    """The adapters of a pretrained model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: PositiveInt = 8
    """Columns of an adapter's matrices."""
    alpha: PositiveFloat = 16.0
    """What an adapter adds is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """On what an adapter reads."""
    target_modules: str | list[str] = "all-linear"
    """Layers that have one: all linear layers, or names as in the model."""
    learning_rate: PositiveFloat = 1e-3


@dataclass(frozen=True)
class Adapters:
    """The weights that learn, by name, and how fast."""

    weights: dict[str, nn.Parameter] = field(default_factory=dict)
    learning_rate: float = 0.0


def add_adapters(model: PreTrainedModel, config: LoraConfig, setting: str) -> Adapters:
    """Put adapters beside a model's layers, in place; everything else of it stands still.

    Raises
    ------
    ConfigError
        If peft is not installed, or the model has no such layers.
    """
    try:
        peft = importlib.import_module("peft")
    except ImportError as err:
        raise ConfigError(f"{setting}: needs peft: pip install 'freshrank[lora]'") from err
    names = dict(model.named_modules())
    wanted = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.target_modules,
        exclude_modules=_UNREAD if any("pooler" in name for name in names) else None,
        fan_in_fan_out=any(type(one).__name__ == "Conv1D" for one in names.values()),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            peft.inject_adapter_in_model(wanted, model)
    except ValueError as err:
        raise ConfigError(
            f"{setting}.target_modules: {config.target_modules!r}: {first_line(err)}"
        ) from err
    # The rest was frozen as it was loaded.
    learned = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return Adapters(learned, config.learning_rate)
