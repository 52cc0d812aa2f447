import sys

import pytest
import torch

from learners.lora import LoraConfig, add_adapters
from learners.pretrained import load_model
from stream.errors import ConfigError
from tests.learners.tiny_encoders import write_tiny_causal, write_tiny_encoder

VECTORS_12H = torch.linspace(-1, 1, 24).view(1, 2, 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_causal(tmp_path_factory.mktemp("causal"))


def test_adapters_alone_learn(folder):
    model = load_model(folder)
    adapters = add_adapters(model, LoraConfig(rank=2, learning_rate=0.5), "learner.x")
    learning = {name for name, one in model.named_parameters() if one.requires_grad}
    assert learning == set(adapters.weights) == {name for name in learning if "lora_" in name}
    assert {min(one.shape) for one in adapters.weights.values()} == {2}
    assert adapters.learning_rate == 0.5


def test_adapters_begin_as_no_change_and_then_make_one(folder):
    model = load_model(folder)
    before = model(inputs_embeds=VECTORS_12H).last_hidden_state
    adapters = add_adapters(model, LoraConfig(), "learner.x")
    torch.testing.assert_close(model(inputs_embeds=VECTORS_12H).last_hidden_state, before)
    with torch.no_grad():
        for weight in adapters.weights.values():
            weight.add_(0.1)
    assert not torch.allclose(model(inputs_embeds=VECTORS_12H).last_hidden_state, before)


def test_adapters_are_the_same_in_each_run_and_draw_from_nobody(folder):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = add_adapters(load_model(folder), LoraConfig(), "learner.x").weights
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    other = add_adapters(load_model(folder), LoraConfig(), "learner.x").weights
    for name, weight in one.items():
        assert torch.equal(weight, other[name])


def test_layers_are_chosen_by_name_and_what_nobody_reads_has_none(tmp_path):
    model = load_model(write_tiny_encoder(tmp_path))
    weights = add_adapters(model, LoraConfig(target_modules=["query"]), "learner.x").weights
    assert len(weights) == 2
    everywhere = add_adapters(load_model(tmp_path), LoraConfig(), "learner.x").weights
    assert len(everywhere) == 2 * 6
    assert not any("pooler" in name for name in everywhere)


def test_layers_that_are_not_there_are_named(folder):
    with pytest.raises(ConfigError, match=r"learner\.x\.target_modules: \['q_proj'\]: .*not found"):
        add_adapters(load_model(folder), LoraConfig(target_modules=["q_proj"]), "learner.x")


def test_without_peft_the_message_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"learner\.x: needs peft: pip install 'freshrank\[lora"):
        add_adapters(load_model(folder), LoraConfig(), "learner.x")
