"""What a step lessens: the cross-entropy of what was clicked, and what may stand beside it.

# N states, P items scored, R replayed states, V items
"""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from torch import Tensor
from torch.nn import functional


class ObjectiveConfig(BaseModel):
    """Beside the cross-entropy; both are off by default, as neither won anything where measured.

    References
    ----------
    .. [1] Szegedy et al. Rethinking the Inception architecture for computer vision. CVPR 2016.
    .. [2] Mi, Lin, Faltings. ADER: adaptively distilled exemplar replay towards continual learning
       for session-based recommendation. RecSys 2020.
    .. [3] Tarvainen, Valpola. Mean teachers are better role models. NeurIPS 2017.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of each target that is spread evenly over all items [1]_."""
    distillation: NonNegativeFloat = 0.0
    """Weight of the cross-entropy against what the served weights, a running mean of those that
    are trained [3]_, say at the replayed positions [2]_."""


def objective(
    config: ObjectiveConfig,
    score_NP: Tensor,
    target_N: Tensor,
    log_weight_P: Tensor | None = None,
    teacher_RP: Tensor | None = None,
) -> Tensor:
    """The loss of a step.

    Parameters
    ----------
    config : ObjectiveConfig
    score_NP : float tensor
        Of all items, or of those that were sampled.
    target_N : int tensor
        The columns of what was clicked.
    log_weight_P : float tensor, optional
        The logarithm of how many items each of the sampled stands for.
    teacher_RP : float tensor, optional
        What a teacher scores at the last R of the N states; its gradient is nobody's.
    """
    weighted_NP = score_NP if log_weight_P is None else score_NP + log_weight_P
    log_share_NP = functional.log_softmax(weighted_NP, dim=-1)
    loss = functional.nll_loss(log_share_NP, target_N)
    if config.label_smoothing:
        spread = _cross_entropy_of_any_item(log_share_NP, log_weight_P)
        loss = (1 - config.label_smoothing) * loss + config.label_smoothing * spread
    if teacher_RP is not None and len(teacher_RP):
        teacher_RP = teacher_RP if log_weight_P is None else teacher_RP + log_weight_P
        share_RP = functional.softmax(teacher_RP.detach(), dim=-1)
        known = -(share_RP * log_share_NP[-len(teacher_RP) :]).sum(dim=-1).mean()
        loss = loss + config.distillation * known
    return loss


def _cross_entropy_of_any_item(log_share_NP: Tensor, log_weight_P: Tensor | None) -> Tensor:
    """Against a uniform distribution over all items, of which each column stands for some."""
    if log_weight_P is None:
        return -log_share_NP.mean()
    # A column's share is that of all items that it stands for: one of them has a part of it.
    return -((log_share_NP - log_weight_P) @ functional.softmax(log_weight_P, dim=0)).mean()
