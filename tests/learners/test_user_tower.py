import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig, LlamaModel

from learners.user_tower import PretrainedTower, TowerConfig, TowerShape, make_tower
from stream.errors import ConfigError
from tests.learners.tiny_encoders import (
    write_tiny_causal,
    write_tiny_encoder,
    write_tiny_of_images,
    write_tiny_of_two_parts,
)

SHAPE = TowerShape(positions=7, width=16, layers=2, heads=2, dropout=0.1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("towers")
    return {
        "causal": write_tiny_causal(root / "causal"),
        "encoder": write_tiny_encoder(root / "encoder"),
        "two parts": write_tiny_of_two_parts(root / "two parts"),
        "images": write_tiny_of_images(root / "images"),
    }


def tower_of(shape: TowerShape = SHAPE, **settings: object) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_tower(TowerConfig.model_validate(settings), shape).eval()


def read(tower: torch.nn.Module, input_CSD: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return tower(inputs_embeds=input_CSD).last_hidden_state


def assert_causal(tower: torch.nn.Module) -> None:
    input_CSD = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(1))
    other_CSD = input_CSD.clone()
    other_CSD[:, 4:] *= -1
    one, other = read(tower, input_CSD), read(tower, other_CSD)
    assert one.shape == (3, 7, 16)
    torch.testing.assert_close(one[:, :4], other[:, :4])
    assert (one[:, 4:] - other[:, 4:]).abs().amax(dim=(1, 2)).min() > 0.01
    torch.testing.assert_close(read(tower, input_CSD[:, :4]), one[:, :4], rtol=1e-4, atol=1e-5)


def test_unless_told_otherwise_it_is_the_llama_that_it_was():
    tower = tower_of()
    config = LlamaConfig(
        vocab_size=1,
        max_position_embeddings=7,
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        attention_dropout=0.1,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = LlamaModel(config).eval()
    assert type(tower) is LlamaModel
    assert tower.config._attn_implementation == "sdpa"
    assert tower.layers[0].self_attn.attention_dropout == 0.1
    for (name, one), (other_name, other) in zip(
        tower.named_parameters(), expected.named_parameters(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other)
    input_CSD = torch.randn(2, 7, 16)
    assert torch.equal(read(tower, input_CSD), read(expected, input_CSD))


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "mistral", "opt", "falcon", "rwkv"])
def test_each_causal_architecture_is_made_in_the_learners_size(architecture):
    tower = tower_of(architecture=architecture)
    assert_causal(tower)
    assert tower.config.num_hidden_layers == 2
    assert sum(one.numel() for one in tower.parameters()) < 30_000


def test_an_architecture_takes_settings_of_its_own():
    tower = tower_of(architecture="qwen2", config={"num_key_value_heads": 1, "hidden_act": "gelu"})
    assert tower.config.num_key_value_heads == 1
    assert tower.config.hidden_act == "gelu"
    assert len(tower_of(architecture="gpt2", config={"n_layer": 1}).h) == 1
    assert_causal(tower_of(architecture="bert", config={"is_decoder": True}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "qwen"}, r"architecture: .* no model type 'qwen'; did you mean 'qwen"),
        ({"architecture": "bert"}, r"architecture: 'bert' is not causal: .*choose a causal"),
        (
            {"architecture": "t5"},
            r"architecture: 't5' does not read 7 vectors of length 16 .*inputs_embeds",
        ),
        (
            {"architecture": "vit"},
            r"architecture: 'vit' does not read 7 vectors of length 16 .*inputs_embeds",
        ),
        (
            {"architecture": "gpt2", "config": {"n_heads": 2}},
            r"tower\.config: gpt2 has no setting 'n_heads'; did you mean 'n_head'",
        ),
        (
            {"architecture": "gpt2", "config": {"n_embd": 32}},
            r"'gpt2' does not read 7 vectors",
        ),
        (
            {"architecture": "qwen2", "config": {"num_attention_heads": 0}},
            r"'qwen2' cannot be made with these settings .*learner\.tower\.config",
        ),
    ],
)
def test_what_cannot_read_histories_is_refused_by_the_settings_name(settings, message):
    with pytest.raises(ConfigError, match=rf"^learner\.tower\..*{message}|{message}"):
        tower_of(**settings)


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_pretrained_model_reads_histories_one_way_whatever_it_is(folders, kind):
    assert_causal(tower_of(folder=str(folders[kind])))


def test_an_encoder_would_see_what_comes_after_if_it_had_no_mask(folders):
    tower = tower_of(folder=str(folders["encoder"]))
    tower._is_masked = False
    with pytest.raises(AssertionError, match="not close"):
        assert_causal(tower)


def test_the_vectors_going_in_are_as_long_as_the_model_is_used_to(folders):
    tower = tower_of(folder=str(folders["causal"]))
    assert isinstance(tower, PretrainedTower)
    unit_ND = torch.nn.functional.normalize(torch.randn(500, 16), dim=-1)
    usual = tower.base.get_input_embeddings().weight.detach().norm(dim=-1).mean()
    assert float(tower.into(unit_ND).detach().norm(dim=-1).mean() / usual) == pytest.approx(
        1.0, abs=0.3
    )


def test_what_the_model_hands_on_comes_out_as_it_went_in(folders):
    """Before anything was learned, for a model that changes nothing."""
    tower = tower_of(TowerShape(7, 4, 2, 2, 0.1), folder=str(folders["causal"]))
    unit_ND = torch.nn.functional.normalize(torch.randn(50, 4), dim=-1)
    came_out_ND = tower.out_of(tower.into(unit_ND)).detach()
    cosine_N = torch.nn.functional.cosine_similarity(unit_ND, came_out_ND, dim=-1)
    assert float(cosine_N.mean()) > 0.7


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("two parts", r"does not read 7 vectors .*expected a causal language model or a text"),
        ("images", r"holds a model of something else than tokens"),
    ],
)
def test_a_folder_of_another_kind_is_named(folders, kind, message):
    with pytest.raises(ConfigError, match=rf"learner\.tower\.folder: .*{kind}.* {message}"):
        tower_of(folder=str(folders[kind]))


def test_a_folder_that_holds_no_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(ConfigError, match=r"learner\.tower\.folder: .* holds no model that"):
        tower_of(folder=str(tmp_path))
    with pytest.raises(ConfigError, match=r"learner\.tower\.folder: there is no folder"):
        tower_of(folder=str(tmp_path / "missing"))


def test_a_history_longer_than_the_model_reads_is_refused_with_what_to_set(folders):
    shape = TowerShape(17, 16, 2, 2, 0.1)
    with pytest.raises(ConfigError, match=r"reads 16 positions; set learner.history_items to 15"):
        tower_of(shape, folder=str(folders["causal"]))


def test_a_folder_and_an_architecture_are_too_much():
    with pytest.raises(ValidationError, match="set either folder, or these"):
        TowerConfig(folder="x", architecture="gpt2")
    with pytest.raises(ValidationError, match="set either folder, or these"):
        TowerConfig(folder="x", config={"a": 1})
