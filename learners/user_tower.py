"""The user tower: the transformer that reads a user's history, any causal one of transformers'.

# C sequences, S positions, D width of the vectors around it, H width of the pretrained model

Trained from nothing it is an architecture in the width of the item vectors. A pretrained one keeps
its weights and its width: a learned projection leads in, another out, and adapters learn beside
its layers. Both are read as one forward pass in which each position sees what came before it, so
that one sequence teaches at each of its positions.

An encoder sees in both directions. Asked for its last state alone it would peek at nothing, but
each position of a replayed sequence would then be a sequence of its own to run. It is given a
causal mask instead, and its adapters learn to do with less than it is used to.
"""

import difflib
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from learners.lora import Adapters, LoraConfig, add_adapters
from learners.pretrained import fingerprint, first_line, load_model, pretrained_folder
from stream.errors import ConfigError

SETTING = "learner.tower"
_DEFAULT = "llama"
# How far states may differ by rounding, as a share of the largest.
_ROUNDING = 1e-4


class TowerConfig(BaseModel):
    """The model that reads histories."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str = _DEFAULT
    """A causal model type of transformers, trained from nothing: llama, qwen2, gpt2, mamba, ..."""
    config: dict[str, Any] = {}
    """Settings of that architecture beside those that `learner` has names for."""
    folder: str | None = None
    """Instead of them, a folder with a pretrained model, causal or an encoder, or `minilm`."""
    lora: LoraConfig = LoraConfig()
    """The adapters of a pretrained model, whose own weights stand still."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "TowerConfig":
        if self.folder is not None and (self.config or self.architecture != _DEFAULT):
            raise ValueError(
                "folder brings its own architecture and config: set either folder, or these"
            )
        return self


@dataclass(frozen=True, slots=True)
class TowerShape:
    """What the learner asks of its tower; dropout is on attention.

    A pretrained one has layers, heads and dropout of its own.
    """

    positions: int
    width: int
    layers: int
    heads: int
    dropout: float


def make_tower(config: TowerConfig, shape: TowerShape) -> nn.Module:
    """A module that is called as transformers' models are: `(inputs_embeds=...).last_hidden_state`.

    Both are of the width that was asked for.

    Draws weights from torch's global generator.

    Raises
    ------
    ConfigError
        If the architecture or the folder cannot serve as a causal model over vectors.
    """
    if config.folder is not None:
        return PretrainedTower(config.folder, config.lora, shape)
    setting = f"{SETTING}.architecture: {config.architecture!r}"
    try:
        settings = _architecture(config, shape)
        model = AutoModel.from_config(settings, dtype=torch.float32)  # type: ignore[no-untyped-call]
    except ConfigError:
        raise
    except Exception as err:  # whatever settings of an architecture make it raise
        raise ConfigError(
            f"{setting} cannot be made with these settings ({first_line(err)}); set what it asks "
            f"for in {SETTING}.config"
        ) from err
    assert isinstance(model, PreTrainedModel)
    state_width, is_causal = _tried(model, shape.width, shape.positions, setting)
    if not is_causal:
        raise ConfigError(
            f"{setting} is not causal: its states depend on what comes after them; choose a "
            f"causal architecture (for bert and its kin {SETTING}.config: {{is_decoder: true}})"
        )
    if state_width != shape.width:
        raise ConfigError(
            f"{setting} gives states of length {state_width}, expected learner.width, "
            f"{shape.width}; leave its width to learner.width"
        )
    return model


class PretrainedTower(nn.Module):
    """A pretrained model between two projections, of which it keeps all weights but adapters'.

    Parameters
    ----------
    name : str
        Its folder, or `minilm`.
    lora : LoraConfig
        The adapters.
    shape : TowerShape
        Positions and width are asked for.

    Raises
    ------
    ConfigError
        If there is no such folder, or what it holds does not read vectors, or not so many.
    """

    def __init__(self, name: str, lora: LoraConfig, shape: TowerShape) -> None:
        super().__init__()
        setting = f"{SETTING}.folder"
        folder = pretrained_folder(name, setting)
        try:
            model = load_model(folder)
        except Exception as err:  # whatever a foreign folder makes transformers raise
            raise ConfigError(
                f"{setting}: {folder} holds no model that transformers can read "
                f"({first_line(err)}); expected config.json and the weights of an AutoModel"
            ) from err
        setting = f"{setting}: {folder}"
        embedding = model.get_input_embeddings()
        if not isinstance(embedding, nn.Embedding):
            raise ConfigError(f"{setting} holds a model of something else than tokens")
        longest = getattr(model.config, "max_position_embeddings", None) or shape.positions
        if shape.positions > longest:
            raise ConfigError(
                f"{setting} reads {longest} positions; set learner.history_items to {longest - 1} "
                f"at the most, got {shape.positions - 1}"
            )
        self._is_masked = False
        input_width = embedding.embedding_dim
        state_width, is_causal = _tried(model, input_width, shape.positions, setting)
        if not is_causal:
            self._is_masked = True
            if not _tried(model, input_width, shape.positions, setting, is_masked=True)[1]:
                raise ConfigError(f"{setting} holds an encoder that takes no causal mask")
        self.base_fingerprint = fingerprint(folder)
        self.adapters: Adapters = add_adapters(model, lora, f"{SETTING}.lora")
        self.into = nn.Linear(shape.width, input_width, bias=False)
        # Vectors of length 1 become as long as the model is used to.
        nn.init.normal_(self.into.weight, std=float(embedding.weight.square().mean().sqrt()))
        self.base = model
        self.out_of = nn.Linear(state_width, shape.width, bias=False)
        if state_width == input_width:
            # Out by the way it came in: layers hand on what they read, and so the first states are
            # near what was clicked last, not anywhere.
            with torch.no_grad():
                self.out_of.weight.copy_(self.into.weight.T / self.into.weight.norm())

    def forward(self, inputs_embeds: Tensor) -> BaseModelOutput:
        """States of length D for vectors of length D, called as any model of transformers."""
        state_CSH = _states(self.base, self.into(inputs_embeds), self._is_masked)
        return BaseModelOutput(last_hidden_state=self.out_of(state_CSH))


def _states(model: nn.Module, input_CSH: Tensor, is_masked: bool) -> Tensor:
    mask = {}
    if is_masked:
        seen_SS = torch.ones(2 * input_CSH.shape[1:2], dtype=torch.bool, device=input_CSH.device)
        mask["attention_mask"] = seen_SS.tril()[None, None].expand(len(input_CSH), -1, -1, -1)
    states_CSH: Tensor = model(inputs_embeds=input_CSH, **mask).last_hidden_state
    return states_CSH


def _tried(
    model: PreTrainedModel, width: int, positions: int, setting: str, is_masked: bool = False
) -> tuple[int, bool]:
    """How long a model's states are, and whether none of them depends on what comes after it."""
    model.config.use_cache = False  # nothing is ever read on from where it ended
    input_2SH = torch.linspace(0.0, 100.0, positions * width).sin().view(1, positions, width)
    input_2SH = torch.cat([input_2SH, input_2SH])
    input_2SH[1, -1] *= -1
    try:
        model.train(mode=False)
        with torch.inference_mode():
            one_SH, other_SH = _states(model, input_2SH, is_masked)
    except Exception as err:  # whatever a model for something else raises when it is given vectors
        raise ConfigError(
            f"{setting} does not read {positions} vectors of length {width} in order "
            f"(inputs_embeds): {first_line(err)}; expected a causal language model or a text "
            "encoder"
        ) from err
    moved = float((one_SH - other_SH)[:-1].abs().max())
    return one_SH.shape[1], moved <= _ROUNDING * float(one_SH.abs().max())


def _architecture(config: TowerConfig, shape: TowerShape) -> PreTrainedConfig:
    """The architecture's settings: its defaults, then the learner's, then those of `config`."""
    known = list(transformers.CONFIG_MAPPING)
    if config.architecture not in known:
        raise ConfigError(
            f"{SETTING}.architecture: transformers {transformers.__version__} knows no model type "
            f"{config.architecture!r}{_nearest(config.architecture, known)}"
        )
    defaults = AutoConfig.for_model(config.architecture)
    for key in config.config:
        if not hasattr(defaults, key):
            raise ConfigError(
                f"{SETTING}.config: {config.architecture} has no setting "
                f"{key!r}{_nearest(key, list(defaults.to_dict()))}"
            )
    ours = {name: value for name, value in _usual(shape).items() if _takes(defaults, name)}
    # By the architecture's own names: a setting may go by two, and what `config` says holds.
    own = defaults.attribute_map
    merged = [(own.get(name, name), value) for name, value in (ours | config.config).items()]
    return AutoConfig.for_model(config.architecture, **dict(merged))


def _usual(shape: TowerShape) -> dict[str, Any]:
    """The names that architectures have for what the learner knows."""
    return {
        "vocab_size": 1,  # items enter as vectors; the token table is never read
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")),
        "max_position_embeddings": shape.positions,
        **dict.fromkeys(("hidden_size", "word_embed_proj_dim"), shape.width),
        **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner"), 4 * shape.width),
        "num_hidden_layers": shape.layers,
        **dict.fromkeys(("num_attention_heads", "num_key_value_heads"), shape.heads),
        "head_dim": shape.width // shape.heads,
        **dict.fromkeys(
            ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob"), shape.dropout
        ),
    }


def _takes(defaults: PreTrainedConfig, name: str) -> bool:
    return hasattr(defaults, name) and not isinstance(getattr(type(defaults), name, None), property)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
