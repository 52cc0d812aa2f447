"""What is learned of lists beside the next click: clicks on them, and what these convert to.

# S items shown, F features of their match

One encoder: both heads read its states and items in the same features. By default they teach it
nothing; with weights above 0 their losses are added to that of the next click.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.nn import functional

from learners.click_features import parts, steps
from learners.click_head import ClickHead, click_answers
from learners.conversion_head import ClickedItems, ConversionHead, conversion_answers
from learners.in_play import InPlay
from learners.logistic_beliefs import Answers, probability
from stream.conversions import ConversionLessons
from stream.values import Changes, Float64s, Int32s, Outcomes, Shown, ShownLessons, State

Taught = ShownLessons | ConversionLessons
FeaturesOf = Callable[[Shown], Tensor]
"""The features of the items of lists, float64, shape (S, F), on the CPU."""


class TasksConfig(BaseModel):
    """What is learned beside the next click, and what the encoder is taught of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clicks: NonNegativeFloat = 0.0
    """Weight of the mean loss of the clicks on a batch's lists, where that of the next click has 1,
    in what the encoder learns; 0 leaves it as it is without lists."""
    conversions: NonNegativeFloat = 0.0
    """The same of the conversions of clicks."""
    conversion_space: Literal["entire", "clicked"] = "entire"
    """Over what conversions are learned: all that was shown, each item as a click as far as it was
    likely to be one; or what was clicked. See `learners.conversion_head`."""
    conversion_memory: PositiveFloat = 300.0
    """Conversions after which what a click came to is all but forgotten."""


class ShownTasks:
    """The heads of lists: how likely an item is clicked, and how likely a click converts.

    Parameters
    ----------
    config : TasksConfig
    click_memory : float
        Clicks after which an answer is all but forgotten by the head of clicks.
    n_features : int
        F, how many figures tell how well an item matches the context.
    """

    def __init__(self, config: TasksConfig, click_memory: float, n_features: int) -> None:
        self._config = config
        self._clicks = ClickHead(n_features, click_memory)
        self._conversions = ConversionHead(n_features, config.conversion_memory)

    def probabilities(self, features_SF: Tensor, shown: Shown) -> tuple[Float64s, Float64s | None]:
        """Of each item, how likely it is clicked at its place, and how likely a click converts.

        The latter is None until something was told of conversions.
        """
        asked = features_SF, shown.item_S, shown.position_S
        clicks_S = self._clicks.probabilities(*asked)
        return clicks_S, (
            self._conversions.probabilities(*asked) if self._conversions.is_taught else None
        )

    def click_by_place(self, features_SF: Tensor, shown: Shown, n_places: int) -> Float64s:
        """How likely each item is clicked at each of the first places, shape (S, K)."""
        return self._clicks.by_place(features_SF, shown.item_S, n_places)

    def learn(self, outcomes: Outcomes, features_of: FeaturesOf, forgetting: float) -> None:
        """Teach the heads what became of lists and clicks; `forgetting` divides their memory."""
        clicked = list[ClickedItems]()
        for taught in steps(outcomes.shown_lessons):
            features = [features_of(lessons.shown) for lessons in taught]
            # How likely a click was is asked before its answer is learned.
            clicked += [
                self._as_clicks(features_SF, lessons)
                for features_SF, lessons in zip(features, taught, strict=True)
                if lessons.tells_conversions
            ]
            self._clicks.learn(torch.cat(features), taught, forgetting)
        for told in outcomes.conversion_lessons:
            for shown, _ in parts(told.shown):
                one = replace(told, shown=shown)
                clicked.append(self._as_clicks(features_of(shown), one))
        # Together: a step of conversions alone would go further than presumptions can go back.
        if clicked:
            self._conversions.learn(_end_to_end(clicked), forgetting)

    def for_encoder(self, outcomes: Outcomes, n_steps: int) -> list[list[Taught]]:
        """What the encoder is taught of lists and clicks beside the next clicks, step by step."""
        taught = list[Taught]()
        if self._config.clicks or self._config.conversions:
            taught += [one for step in steps(outcomes.shown_lessons) for one in step]
        if self._config.conversions:
            for told in outcomes.conversion_lessons:
                taught += [replace(told, shown=shown) for shown, _ in parts(told.shown)]
        return [taught[step::n_steps] for step in range(n_steps)]

    def loss(self, taught: Sequence[Taught], features_of: FeaturesOf) -> Tensor:
        """The weighted sum of the mean losses of clicks and conversions; the heads stand still."""
        losses = {"clicks": [torch.zeros(2, dtype=torch.float64)], "conversions": []}
        losses["conversions"] += losses["clicks"]
        for lessons in taught:
            features_SF, shown = features_of(lessons.shown), lessons.shown
            if isinstance(lessons, ShownLessons):
                logit_S = self._clicks.logits(features_SF, shown.item_S, shown.position_S)
                answers = click_answers([lessons], _told(logit_S))
                losses["clicks"].append(_loss_and_weight(logit_S, answers))
            if isinstance(lessons, ConversionLessons) or lessons.tells_conversions:
                told = self._as_clicks(features_SF.detach(), lessons)
                logit_S = self._conversions.logits(features_SF, told.item_S, told.position_S)
                answers = conversion_answers(told.clicks_S, told.is_converted_S, _told(logit_S))
                losses["conversions"].append(_loss_and_weight(logit_S, answers))
        weight_of = {"clicks": self._config.clicks, "conversions": self._config.conversions}
        total = torch.zeros((), dtype=torch.float64)
        for task, pairs in losses.items():
            loss, weight = torch.stack(pairs).sum(dim=0)
            total = total + weight_of[task] * loss / weight.clamp(min=1.0)
        return total

    def follow(self, changes: Changes) -> None:
        """New and recycled rows begin with what is expected of any item."""
        self._clicks.follow(changes)
        self._conversions.follow(changes)

    def restore(self, state: State, rows_R: NDArray[np.int64]) -> None:
        """Take back an earlier state's beliefs; of the items, these rows' alone."""
        self._clicks.restore(state["clicks"], rows_R)
        self._conversions.restore(state["conversions"], rows_R)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "clicks": self._clicks.state_dict(),
            "conversions": self._conversions.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._clicks.load_state_dict(state["clicks"])
        self._conversions.load_state_dict(state["conversions"])

    def _as_clicks(self, features_SF: Tensor, lessons: Taught) -> ClickedItems:
        """What lessons say of conversions."""
        shown = lessons.shown
        is_converted = isinstance(lessons, ConversionLessons) and lessons.is_converted
        return ClickedItems(
            features_SF=features_SF,
            item_S=shown.item_S,
            position_S=shown.position_S,
            clicks_S=self._clicks_in(features_SF, lessons),
            is_converted_S=np.full(len(shown.item_S), is_converted),
        )

    def _clicks_in(self, features_SF: Tensor, lessons: Taught) -> Float64s:
        """As how many clicks each item counts."""
        shown = lessons.shown
        if isinstance(lessons, ConversionLessons):
            return np.ones(len(shown.item_S))
        if self._config.conversion_space == "clicked":
            return lessons.is_clicked_S.astype(np.float64)
        if lessons.is_repeated:  # they have counted with their list
            return np.zeros(len(shown.item_S))
        return self._clicks.probabilities(features_SF, shown.item_S, shown.position_S)


def rows_named(taught: Sequence[Taught]) -> list[Int32s]:
    """The rows that lists and their contexts name."""
    return [rows for one in taught for rows in (one.shown.contexts.history_CT, one.shown.item_S)]


def placed(taught: Sequence[Taught], in_play: InPlay) -> list[Taught]:
    """Lists whose rows are all in play, by their places."""
    return [replace(one, shown=in_play.lists(one.shown)) for one in taught]


def _end_to_end(clicked: Sequence[ClickedItems]) -> ClickedItems:
    return ClickedItems(
        features_SF=torch.cat([one.features_SF for one in clicked]),
        item_S=np.concatenate([one.item_S for one in clicked]),
        position_S=np.concatenate([one.position_S for one in clicked]),
        clicks_S=np.concatenate([one.clicks_S for one in clicked]),
        is_converted_S=np.concatenate([one.is_converted_S for one in clicked]),
    )


def _told(logit_S: Tensor) -> Float64s:
    told_S: Float64s = probability(logit_S.detach()).numpy()
    return told_S


def _loss_and_weight(logit_S: Tensor, answers: Answers) -> Tensor:
    """The sum of the log losses of answers, and what they weigh."""
    loss = (answers.all_S * functional.softplus(logit_S) - answers.yes_S * logit_S).sum()
    return torch.stack([loss, answers.all_S.sum()])
