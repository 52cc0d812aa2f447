import numpy as np
import pytest
import torch

from learners.lora import LoraConfig
from learners.text_encoder import TextEncoder
from learners.tuned_texts import TunedTexts
from tests.conformance.stateful_contract import StatefulContract
from tests.learners.tiny_encoders import write_tiny_encoder
from tests.stream_values import make_changes

TEXTS = ["red shoes", "", "blue hat", "hat", "red", "blue shoes"]
COLUMNS = slice(1, 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def encoder(folder) -> TextEncoder:
    return TextEncoder(str(folder), LoraConfig(rank=2))


def texts_of(encoder: TextEncoder, taught: int = 2, refreshed: int = 2) -> TunedTexts:
    texts = TunedTexts(encoder, COLUMNS, taught, refreshed)
    texts.follow(make_changes(6), range(6), TEXTS)
    return texts


def move(encoder: TextEncoder) -> None:
    with torch.no_grad():
        for weight in encoder.adapters.weights.values():
            weight.add_(0.1)


def test_each_text_is_read_anew_by_the_adapters_of_the_moment_when_its_turn_comes(encoder):
    texts = texts_of(encoder)
    move(encoder)
    expected_NE = encoder.vectors(encoder.tokens(["red shoes", "blue hat"]), is_learning=False)
    row_N, vector_NE = texts.refresh()
    assert row_N.tolist() == [0, 2]
    np.testing.assert_allclose(vector_NE, expected_NE.numpy(), atol=1e-3)
    turns = [texts.refresh()[0].tolist() for _ in range(4)]
    assert turns == [[3, 4], [5, 0], [2, 3], [4, 5]]


def test_a_new_text_has_its_turn_and_a_recycled_row_none(encoder):
    texts = texts_of(encoder)
    texts.follow(make_changes(8, recycled=[2]), [7, 1], ["hat", "red"])
    assert [texts.refresh()[0].tolist() for _ in range(4)] == [[0, 1], [3, 4], [5, 7], [0, 1]]
    nothing = TunedTexts(encoder, COLUMNS, 2, 2)
    nothing.follow(make_changes(3), [], [])
    assert nothing.refresh()[0].tolist() == []


def test_a_vector_that_is_not_finite_is_not_handed_out(encoder):
    texts = texts_of(encoder, refreshed=5)
    with torch.no_grad():
        next(iter(encoder.adapters.weights.values())).fill_(float("nan"))
        list(encoder.adapters.weights.values())[1].fill_(1.0)
    assert texts.refresh()[0].tolist() == []


def gradients(encoder: TextEncoder) -> dict[str, torch.Tensor]:
    found = {name: one.grad for name, one in encoder.adapters.weights.items()}
    for weight in encoder.adapters.weights.values():
        weight.grad = None
    return {name: one for name, one in found.items() if one is not None}


def lost(leaf_RE: torch.Tensor, weight_of: dict[int, float]) -> None:
    """A loss whose gradient is these multiples of a direction at these rows."""
    direction_E = torch.linspace(-1, 1, 9)
    loss = torch.zeros(()) + sum(
        weight * (leaf_RE[place] @ direction_E) for place, weight in weight_of.items()
    )
    loss.backward()


@pytest.mark.parametrize("row_R", [None, np.array([0, 1, 3, 5])])
def test_what_reaches_the_adapters_is_on_average_what_all_texts_would_send(encoder, row_R):
    """Of three texts with gradients, and one row without a text, two are drawn at a time."""
    places = {0: -1.0, 1: 9.0, 2: 3.0, 3: 2.0} if row_R is not None else {0: -1, 1: 9, 3: 3, 5: 2}
    move(encoder)
    for dropout in _dropouts(encoder):
        dropout.p = 0.0
    read_NE = encoder.vectors(encoder.tokens([TEXTS[n] for n in (0, 3, 5)]), is_learning=True)
    lost(torch.nn.functional.pad(read_NE, (1, 0)), {0: -1.0, 1: 3.0, 2: 2.0})
    expected = gradients(encoder)
    texts = texts_of(encoder)
    sums = {name: torch.zeros_like(gradient) for name, gradient in expected.items()}
    n_steps = 400
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(n_steps):
            lost(texts.watched(torch.zeros(6 if row_R is None else 4, 9), row_R), places)
            texts.pass_on()
            for name, gradient in gradients(encoder).items():
                sums[name] += gradient / n_steps
    mean, exact = (torch.cat([one.ravel() for one in all_.values()]) for all_ in (sums, expected))
    assert float((mean - exact).norm() / exact.norm()) < 0.1


def test_a_gradient_that_is_not_finite_is_not_drawn_from(encoder):
    texts = texts_of(encoder)
    lost(texts.watched(torch.zeros(6, 9), None), {0: float("nan"), 2: 1.0})
    texts.pass_on()
    assert gradients(encoder) == {}


def test_a_loss_that_moves_no_text_reaches_no_adapter(encoder):
    texts = texts_of(encoder)
    lost(texts.watched(torch.zeros(6, 9), None), {1: 1.0})
    texts.pass_on()
    texts.watched(torch.zeros(6, 9), None)
    texts.pass_on()
    assert gradients(encoder) == {}


def _dropouts(encoder: TextEncoder) -> list[torch.nn.Dropout]:
    return [one for one in encoder._model.modules() if isinstance(one, torch.nn.Dropout)]


def drive(texts: TunedTexts, step: int) -> object:
    texts.follow(make_changes(6 + step, recycled=[step]), [5 + step], ["red hat shoes"[: 4 + step]])
    return texts.refresh()


class TestTunedTextsAreStateful(StatefulContract):
    drive = staticmethod(drive)

    @pytest.fixture(autouse=True)
    def _encoder(self, encoder):
        self.make = lambda: texts_of(encoder)  # the adapters are their owner's to restore
