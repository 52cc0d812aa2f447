"""The network: a causal transformer over a user's history, scored against every item.

# C sequences, T history length, S = T + 1 positions, D width, V items, N states

A learned start vector stands before the history, so that position t is the state after t clicks
and a user without any click is ranked by it alone. Sequences are left-aligned: causal attention
never looks at the padding behind them, and no mask is needed. Scores are cosines of state and
item times a temperature [1]_.

The state is the transformer's direction plus the direction of the mean of what was clicked. The
mean alone is a factorised item-to-item model [2]_: it learns from the first clicks, before the
transformer knows anything of order.

.. [1] Gupta et al. NISER: Normalized Item and Session Representations to Handle Popularity Bias.
   arXiv:1909.04276, 2019.
.. [2] Kabbur, Ning, Karypis. FISM: Factored Item Similarity Models for Top-N Recommender Systems.
   KDD 2013.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from learners.item_vectors import ItemVectors
from learners.lora import Adapters
from learners.user_tower import PretrainedTower, TowerConfig, TowerShape, make_tower

if TYPE_CHECKING:
    from learners.asker_vectors import AskerVectors


class Scorer(nn.Module):
    """Histories in, a score for each item out.

    Parameters
    ----------
    items : ItemVectors
        The item tower; its width is the transformer's.
    shape : TowerShape
        Of the transformer, in the items' width; its dropout is also on the item vectors going in.
    temperature : float, optional
        Factor on the cosines: the largest score a perfect match can have. None scores by the plain
        product of state and item.
    tower : TowerConfig, optional
        Which transformer.

    Raises
    ------
    ConfigError
        If there is no such transformer.
    """

    def __init__(
        self,
        items: ItemVectors,
        shape: TowerShape,
        temperature: float | None,
        tower: TowerConfig | None = None,
    ) -> None:
        super().__init__()
        self.items = items
        self.start_D = nn.Parameter(torch.randn(shape.width))
        self.backbone = make_tower(tower or TowerConfig(), shape)
        self.mixture_2 = nn.Parameter(torch.ones(2))
        self.dropout = nn.Dropout(shape.dropout)
        self.temperature = temperature
        self.askers: AskerVectors | None = None  # who asks: set where inputs are declared
        # Gradients are no sign of it: the copy that is served wants none of anything.
        self._frozen = {name for name, one in self.named_parameters() if not one.requires_grad}

    def learned(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights that steps move, by name: all but those of a pretrained tower."""
        return (one for one in self.named_parameters() if one[0] not in self._frozen)

    def frozen(self) -> Iterator[nn.Parameter]:
        """The weights that are as a folder brought them."""
        return (one for name, one in self.named_parameters() if name in self._frozen)

    @property
    def adapters(self) -> Adapters:
        """What learns of a pretrained tower."""
        tower = self.backbone
        return tower.adapters if isinstance(tower, PretrainedTower) else Adapters()

    @property
    def base(self) -> str | None:
        """The fingerprint of a pretrained tower."""
        return (
            self.backbone.base_fingerprint if isinstance(self.backbone, PretrainedTower) else None
        )

    def states(self, history_CT: Tensor, item_VD: Tensor) -> Tensor:
        """State after 0 .. T clicks of each history, shape (C, S, D).

        Parameters
        ----------
        history_CT : int64 tensor
            Rows of the items clicked, -1 behind them.
        item_VD : float tensor
            What `items.vectors()` gave.
        """
        input_CSD = self.start_D.expand(len(history_CT), 1, -1)
        if history_CT.shape[1] and len(item_VD):
            # Padding takes row 0's vector: it stands behind every state that is read.
            clicked_CTD = functional.embedding(history_CT.clamp(min=0), item_VD)
            input_CSD = torch.cat([input_CSD, clicked_CTD], dim=1)
        input_CSD = functional.normalize(input_CSD, dim=-1)
        input_CSD = self.dropout(input_CSD)
        ordered_CSD = self.backbone(inputs_embeds=input_CSD).last_hidden_state
        mean_CSD = functional.normalize(input_CSD.cumsum(dim=1), dim=-1)
        order, mean = self.mixture_2
        states_CSD: Tensor = order * functional.normalize(ordered_CSD, dim=-1) + mean * mean_CSD
        return states_CSD

    def scores(self, state_ND: Tensor, item_VD: Tensor, lean_ND: Tensor | None = None) -> Tensor:
        """Score of each of these items for each state, shape (N, V).

        A lean is added behind the temperature: what is known of who asks moves the scores of
        items, and leaves the order that the history gives them as sharp as it is.
        """
        return self.scores_of_aimed(state_ND, self.aimed_at(item_VD), lean_ND)

    def aimed_at(self, item_VD: Tensor) -> Tensor:
        """What states are multiplied by: the items' directions."""
        return item_VD if self.temperature is None else functional.normalize(item_VD, dim=-1)

    def scores_of_aimed(
        self, state_ND: Tensor, aimed_VD: Tensor, lean_ND: Tensor | None = None
    ) -> Tensor:
        """The same from what `aimed_at` gave, for whoever asks for many states in parts."""
        if self.temperature is not None:
            state_ND = functional.normalize(state_ND, dim=-1) * self.temperature
        return (state_ND if lean_ND is None else state_ND + lean_ND) @ aimed_VD.T
