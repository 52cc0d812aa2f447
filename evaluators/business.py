"""What the business sees: how much comes in for what was shown and clicked, and how many come.

# N lists that matured, or clicks
"""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluators.active_users import DAY_HOURS, WEEK_HOURS, ActiveUsers
from evaluators.figures import as_record
from evaluators.mean_windows import MeanWindows
from evaluators.windows import WINDOWS, WindowSizes
from stream.values import Changes, Outcomes, Reading, Record, State

_HOURS = {"active_users_day": DAY_HOURS, "active_users_week": WEEK_HOURS}

BUSINESS_METRICS = ("revenue_per_mille", "revenue_per_click", *_HOURS)

_SCHEMA_VERSION = 1


class BusinessConfig(BaseModel):
    """Whether revenue and active users are judged.

    Attributes
    ----------
    enabled : bool
        Costs a quarter of what the ranking figures of one learner cost.
    exact_users : int
        Different users within a week up to which they are counted, 16 bytes each; beyond,
        their number is estimated, with a standard error of 1.6 %.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    exact_users: Annotated[int, Field(ge=0, le=1_000_000)] = 50_000


class BusinessJudge:
    """Revenue for a thousand shown items and for a click; users within a day and a week.

    Revenue is the value of conversions. It is known when the conversion window of its click has
    passed, and counts then: in `revenue_per_mille` with the next list that matures, so that a
    window relates what was earned to what was shown while it became known. All of it is added up,
    whatever its currency. Values that are not finite are left out and counted.

    Active are users who clicked, at the time of the click, or were shown a list, at the stream's
    time when it came. Their figures have one window, `time`,
    which is the day or the week that the name says; the samples are visits.

    Memory: `sizes.events` x 32 bytes, 16 bytes for each of `exact_users`, and 700 KiB.

    Parameters
    ----------
    config : BusinessConfig
    sizes : WindowSizes
        Of the windows over lists and clicks.
    """

    def __init__(self, config: BusinessConfig, sizes: WindowSizes) -> None:
        self._per_item = MeanWindows(sizes)
        self._per_click = MeanWindows(sizes)
        self._users = ActiveUsers(config.exact_users)
        self._unassigned = 0.0
        self._has_conversions = False
        self._n_invalid = 0

    def update(self, outcomes: Outcomes) -> None:
        """Judge what matured and who was there, and move the time."""
        watermark_ms = outcomes.watermark_ms
        self._per_item.advance(watermark_ms)
        self._per_click.advance(watermark_ms)
        self._earn(outcomes)
        asked_ts = outcomes.queries.ts_B
        looked_ts = np.full(len(outcomes.looking_N), watermark_ms, np.int64)
        self._users.update(
            np.concatenate((outcomes.user_B, outcomes.looking_N)),
            np.concatenate((asked_ts[: len(outcomes.user_B)], looked_ts)),
            watermark_ms,
        )

    def follow(self, changes: Changes) -> None:
        """Forgotten users are no longer counted."""
        if len(changes.forgotten_F):
            self._users.forget(changes.forgotten_F)

    def record(self) -> Record:
        """Every figure that has a sample, and what was counted."""
        return {"metrics": self.metrics(), "counts": self.counts()}

    def metrics(self) -> Record:
        """Every figure that has a sample, over each window."""
        figures = {
            name: as_record({over: self.reading(name, over) for over in WINDOWS})
            for name in BUSINESS_METRICS
        }
        return {name: figure for name, figure in figures.items() if figure}

    def reading(self, metric: str, over: str) -> Reading | None:
        """One figure over one window; None without a sample."""
        match metric:
            case "revenue_per_mille":
                found = self._per_item.reading(over)
                return None if found is None else Reading(1000 * found.value, found.samples)
            case "revenue_per_click":
                return self._per_click.reading(over)
        return self._users.reading(_HOURS[metric]) if over == "time" else None

    def counts(self) -> dict[str, int]:
        """Values left out since start, and whether users are estimated by now."""
        return {
            "invalid_values": self._n_invalid,
            "active_users_estimated": int(not self._users.is_exact),
        }

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "per_item": self._per_item.state_dict(),
            "per_click": self._per_click.state_dict(),
            "users": self._users.state_dict(),
            "unassigned": self._unassigned,
            "has_conversions": self._has_conversions,
            "n_invalid": self._n_invalid,
        }

    def load_state_dict(self, state: State) -> None:
        self._per_item.load_state_dict(state["per_item"])
        self._per_click.load_state_dict(state["per_click"])
        self._users.load_state_dict(state["users"])
        self._unassigned = state["unassigned"]
        self._has_conversions = state["has_conversions"]
        self._n_invalid = state["n_invalid"]

    def _earn(self, outcomes: Outcomes) -> None:
        conversions, matured = outcomes.conversions, outcomes.matured
        if len(conversions):
            self._has_conversions = True
            is_usable_N = np.isfinite(conversions.value_N)
            self._n_invalid += int(np.count_nonzero(~is_usable_N))
            value_N = conversions.value_N[is_usable_N]
            self._per_click.update(value_N, np.ones(len(value_N)), conversions.ts_N[is_usable_N])
            self._unassigned += float(value_N.sum())
        # Where conversions are not recorded, nothing is known of revenue.
        if len(matured) and self._has_conversions:
            earned_N = np.zeros(len(matured))
            earned_N[0], self._unassigned = self._unassigned, 0.0
            self._per_item.update(earned_N, np.diff(matured.starts).astype(float), matured.ts_N)
