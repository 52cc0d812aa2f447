"""What a rule of kind `drift` looks for: with which detector, on which side, in what values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from evaluators.drift_parameters import DetectorName, Parameters, parameters_of
from evaluators.worse import Side, worse_side
from stream.durations import WRITTEN_BY_PEOPLE, format_duration_ms, parse_duration_ms

Direction = Literal["worse", "down", "up", "both"]

MAX_FEED_SAMPLES = 100_000
"""A value is the mean of at most so many samples: they wait in memory until it is whole."""

_SAMPLES_PATTERN = re.compile(r"(\d+(?:_\d+)*)\s*samples?")
_EXPECTED_FEED = (
    f"expected a number of samples from 1 to {MAX_FEED_SAMPLES}, such as 50 samples, or a duration "
    "with its unit, such as 10m or 1h"
)
_TOLD_SINGLY = ("ctr", "request_ctr")
_MEANS_OF_SAMPLES = frozenset(
    (
        "ctr",
        "request_ctr",
        "conversion_rate",
        "predicted_ctr",
        "log_loss",
        "predicted_conversion_rate",
        "conversion_log_loss",
        "skipped_share",
        "like_share",
        "dislike_share",
        "hide_share",
        "mean_rating",
        "mean_dwell",
        "revenue_per_mille",
        "revenue_per_click",
    )
)


@dataclass(frozen=True, slots=True)
class Feed:
    """What one value fed to a detector stands for: so many samples, or so much event time.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, or it is out of its range.
    """

    samples: int | None = None
    time_ms: int | None = None

    def __post_init__(self) -> None:
        is_known = (self.samples is None) != (self.time_ms is None)
        size = self.time_ms if self.time_ms is not None else self.samples or 0
        if not is_known or size < 1 or (self.samples or 0) > MAX_FEED_SAMPLES:
            raise ValueError(_EXPECTED_FEED)

    def __str__(self) -> str:
        if self.time_ms is not None:
            return format_duration_ms(self.time_ms)
        return f"{self.samples} sample{'s' if self.samples != 1 else ''}"


def _validated_feed(value: object, info: ValidationInfo) -> Feed:
    if isinstance(value, Feed):
        return value
    if isinstance(value, str) and (match := _SAMPLES_PATTERN.fullmatch(value.strip())):
        return Feed(samples=int(match[1]))
    if info.context == WRITTEN_BY_PEOPLE and isinstance(value, int):
        raise ValueError(_EXPECTED_FEED)
    try:
        return Feed(time_ms=parse_duration_ms(value))
    except ValueError as err:
        raise ValueError(_EXPECTED_FEED) from err


FeedSetting = Annotated[Feed, BeforeValidator(_validated_feed), PlainSerializer(str)]

# As many as make the mean of hits a number with some digits; KSWIN asks for such numbers.
_FEED_OF_MEANS = Feed(samples=100)
_FEED_OF_HITS = Feed(samples=1)
# The window `time` is an hour long unless told: nearer readings would have samples in common.
_FEED_OF_WINDOWS = Feed(time_ms=3_600_000)


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """What a rule says of the drift that it looks for, and what follows where it says nothing.

    Attributes
    ----------
    metric : str
        The figure.
    detector : str
        Which detector.
    written : mapping, optional
        Parameters of the detector.
    direction : str, optional
        To which side.
    feed : Feed, optional
        What one value stands for.
    """

    metric: str
    detector: DetectorName
    written: Mapping[str, Any] | None = None
    direction: Direction | None = None
    feed: Feed | None = None

    @property
    def parameters(self) -> Parameters:
        """The detector's parameters, those that were not written included; see `parameters_of`."""
        return parameters_of(self.detector, self.written)

    @property
    def sides(self) -> frozenset[Side]:
        """The sides on which shifts count.

        Raises
        ------
        ValueError
            If it is those to the worse, and the metric does not say which these are.
        """
        if self.direction == "both":
            return frozenset(("down", "up"))
        if self.direction == "down" or self.direction == "up":
            return frozenset((self.direction,))
        if (side := worse_side(self.metric)) is None:
            raise ValueError(
                f"neither side of {self.metric} is the worse one; write direction: down, up or both"
            )
        return frozenset((side,))

    @property
    def fed(self) -> Feed:
        """What one value of the detector stands for.

        Raises
        ------
        ValueError
            If it is samples, of a metric that is no mean of samples.
        """
        feed = self.feed or default_feed(self.metric, self.detector)
        if feed.samples is not None and not is_mean(self.metric):
            raise ValueError(
                f"feed {feed} is refused on {self.metric}, which is no mean of its samples: it is "
                "known over a window alone; write how far apart it is read, such as "
                f"{_FEED_OF_WINDOWS}"
            )
        return feed


def default_feed(metric: str, detector: DetectorName) -> Feed:
    """What is fed unless a rule says otherwise.

    Examples
    --------
    >>> str(default_feed("recall@20", "adwin")), str(default_feed("recall@20", "kswin"))
    ('1 sample', '100 samples')
    >>> str(default_feed("ctr", "adwin")), str(default_feed("auc", "adwin"))
    ('1 sample', '1h')
    """
    if not is_mean(metric):
        return _FEED_OF_WINDOWS
    # A mean of hits tells less than the hits: ADWIN's bound knows the range of values, 0 .. 1.
    return _FEED_OF_HITS if is_told_singly(metric) and detector != "kswin" else _FEED_OF_MEANS


def is_mean(metric: str) -> bool:
    """Whether the metric is a mean over its samples, so that what came since is one too."""
    return "@" in metric or metric in _MEANS_OF_SAMPLES


def is_told_singly(metric: str) -> bool:
    """Whether evaluators tell what each sample of a batch adds to the metric."""
    return "@" in metric or metric in _TOLD_SINGLY
