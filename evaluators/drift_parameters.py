"""The parameters of River's drift detectors [1]_, by River's names and with River's defaults.

References
----------
.. [1] Montiel, Halford, Mastelini, et al. River: machine learning for streaming data in Python.
   JMLR 22, 2021.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from stream.rule_naming import first_error

DetectorName = Literal["adwin", "kswin", "page_hinkley"]


class AdwinParameters(BaseModel):
    """Of River's `ADWIN`: it compares the mean of the newest values with that of those before.

    Attributes
    ----------
    delta : float
        The significance: smaller is calmer and later; in (0, 1).
    clock : int
        Every how many values it looks.
    max_buckets : int
        Buckets of each size that it keeps; finer with more, up to 100.
    min_window_length : int
        Values on each side of a cut, at least.
    grace_period : int
        Values before it looks at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delta: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.002
    clock: Annotated[PositiveInt, Field(le=1_000_000)] = 32
    max_buckets: Annotated[int, Field(ge=2, le=100)] = 5
    min_window_length: Annotated[PositiveInt, Field(le=1_000_000)] = 5
    grace_period: Annotated[NonNegativeInt, Field(le=1_000_000_000)] = 10


class KswinParameters(BaseModel):
    """Of River's `KSWIN`: a Kolmogorov-Smirnov test of the newest values against earlier ones.

    Attributes
    ----------
    alpha : float
        Significance of the test, in (0, 1). It is made at each value: with 0.005 KSWIN finds a
        drift in about a thousand values of a stream that never changes.
    window_size : int
        Values kept, up to 10,000.
    stat_size : int
        The newest of them, compared with as many drawn from the others.
    seed : int
        Of those draws. River's default draws differently in every process; here it is 0, so that
        a replay finds what the run found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: Annotated[FiniteFloat, Field(gt=0.0, lt=1.0)] = 0.005
    window_size: Annotated[PositiveInt, Field(le=10_000)] = 100
    stat_size: Annotated[int, Field(ge=2)] = 30
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _enough_to_draw_from(self) -> "KswinParameters":
        if self.window_size < 2 * self.stat_size:
            raise ValueError(
                f"window_size {self.window_size} must be at least twice stat_size "
                f"{self.stat_size}: as many values are drawn from those before the newest"
            )
        return self


class PageHinkleyParameters(BaseModel):
    """Of River's `PageHinkley`: the sum of the deviations from the running mean.

    Which side is told is a matter of the rule's `direction`.

    Attributes
    ----------
    min_instances : int
        Values before it tells anything.
    delta : float
        Deviations that count for nothing, in the metric's own unit.
    threshold : float
        The sum at which it tells: with `feed: 1 sample` and 50, for example, a recall that falls
        by 0.1 is told after some 500 clicks.
    alpha : float
        What is kept of the sum at each value, in (0, 1].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_instances: PositiveInt = 30
    delta: Annotated[FiniteFloat, Field(ge=0.0)] = 0.005
    threshold: Annotated[FiniteFloat, Field(gt=0.0)] = 50.0
    alpha: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 1 - 0.0001


Parameters = AdwinParameters | KswinParameters | PageHinkleyParameters
_PARAMETERS_OF: dict[DetectorName, type[Parameters]] = {
    "adwin": AdwinParameters,
    "kswin": KswinParameters,
    "page_hinkley": PageHinkleyParameters,
}


def parameters_of(detector: DetectorName, written: Mapping[str, Any] | None) -> Parameters:
    """The parameters of a detector, with the defaults of those that were not written.

    Raises
    ------
    ValueError
        If the detector has no parameter of a name, or a value is out of its range.
    """
    model = _PARAMETERS_OF[detector]
    for name in written or {}:
        if name == "mode":
            raise ValueError("parameters: instead of mode, write the rule's direction")
        if name not in model.model_fields:
            known = ", ".join(model.model_fields)
            nearest = difflib.get_close_matches(name, model.model_fields, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {known}"
            raise ValueError(f"parameters: {detector} has no {name!r}; {hint}")
    try:
        return model.model_validate(dict(written or {}))
    except ValidationError as err:
        raise ValueError(f"parameters: {first_error(err)}") from err


def nearest_detector(name: object) -> str:
    """The detector whose name is most like one that none has.

    Examples
    --------
    >>> nearest_detector("page-hinkly")
    'page_hinkley'
    """
    names: tuple[str, ...] = get_args(DetectorName)
    return difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.0)[0]


def _known_detector(value: object) -> object:
    if value not in get_args(DetectorName):
        names = ", ".join(get_args(DetectorName))
        raise ValueError(
            f"there is no detector {value!r}; did you mean {nearest_detector(value)!r}? "
            f"There are {names}"
        )
    return value


DetectorSetting = Annotated[DetectorName, BeforeValidator(_known_detector)]
