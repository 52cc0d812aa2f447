"""River's drift detectors [1]_: asked value by value, and saved as plain numbers and arrays.

River holds what it holds in attributes of its own. Each is read and set by name here, and a
release of River that has others is refused when a detector is made, not when it is resumed.

References
----------
.. [1] Montiel, Halford, Mastelini, et al. River: machine learning for streaming data in Python.
   JMLR 22, 2021.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from evaluators.adwin_bytes import AdwinSettings, bytes_of_state, state_of_bytes
from evaluators.drift_parameters import (
    AdwinParameters,
    KswinParameters,
    PageHinkleyParameters,
    Parameters,
)
from evaluators.worse import Side
from stream.errors import ConfigError
from stream.values import State

KNOWN_RIVER = "0.26"
"""The releases whose detectors are known here; others are, if they hold the same."""

_SCHEMA_VERSION = 1
_MERSENNE_TWISTER = 3  # the version that Python's own generator writes into its state


@dataclass(frozen=True, slots=True)
class Shift:
    """A drift as a detector found it.

    Attributes
    ----------
    side : str
        Whether the values went down or up.
    level : float
        Their mean before: of what ADWIN and Page-Hinkley remembered when they found it, of the
        older values of KSWIN's window.
    """

    side: Side
    level: float


class Detector(Protocol):
    """Finds shifts in a sequence of finite values, in bounded memory."""

    def update(self, value: float) -> Shift | None: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


def made_detector(parameters: Parameters, sides: frozenset[Side]) -> Detector:
    """The detector that these parameters belong to.

    Parameters
    ----------
    parameters : Parameters
        See `parameters_of`.
    sides : frozenset of str
        What is looked for. Page-Hinkley looks to one side or to both; ADWIN and KSWIN always look
        to both, and start anew after a shift to either.

    Raises
    ------
    ConfigError
        If the release of River that is installed holds something else than is saved here.

    Examples
    --------
    >>> detector = made_detector(AdwinParameters(), frozenset({"down"}))
    >>> values = [0.5, 0.7] * 100 + [0.1, 0.3] * 100
    >>> [(n, shift) for n, value in enumerate(values) if (shift := detector.update(value))]
    [(255, Shift(side='down', level=0.513...))]
    """
    match parameters:
        case AdwinParameters():
            return Adwin(parameters)
        case KswinParameters():
            return Kswin(parameters)
        case PageHinkleyParameters():
            return PageHinkley(parameters, sides)


class Adwin:
    """Adaptive windowing [1]_. Memory grows with the logarithm of the window.

    References
    ----------
    .. [1] Bifet, Gavaldà. Learning from time-changing data with adaptive windowing. SDM 2007.
    """

    def __init__(self, parameters: AdwinParameters) -> None:
        self._river = _river().ADWIN(**parameters.model_dump())
        self._settings = AdwinSettings(**parameters.model_dump())
        _refuse_unknown(self._river, {*parameters.model_dump(), "_drift_detected", "_helper"})
        try:
            state_of_bytes(self._river._helper.__getstate__(), self._settings)
        except (TypeError, ValueError) as err:
            raise _unknown_river(f"ADWIN: {err}") from err

    def update(self, value: float) -> Shift | None:
        level = self._river.estimation
        self._river.update(value)
        if not self._river.drift_detected:
            return None
        return Shift("down" if self._river.estimation < level else "up", level)

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "detected": bool(self._river._drift_detected),
            "window": state_of_bytes(self._river._helper.__getstate__(), self._settings),
        }

    def load_state_dict(self, state: State) -> None:
        self._river._drift_detected = state["detected"]
        self._river._helper.__setstate__(bytes_of_state(state["window"], self._settings))


class Kswin:
    """Kolmogorov-Smirnov windowing [1]_. Memory: `window_size` values, 2.5 KB of random state.

    References
    ----------
    .. [1] Raab, Heusinger, Schleif. Reactive soft prototype computing for concept drift streams.
       Neurocomputing 416, 2020.
    """

    def __init__(self, parameters: KswinParameters) -> None:
        self._river = _river().KSWIN(**parameters.model_dump())
        own = {"_drift_detected", "p_value", "n", "window", "_rng"}
        _refuse_unknown(self._river, {*parameters.model_dump(), *own})

    def update(self, value: float) -> Shift | None:
        river = self._river
        held = [*river.window, value][-river.window_size :]
        river.update(value)
        if not river.drift_detected:
            return None
        level = _mean(held[: -river.stat_size])
        return Shift("down" if _mean(held[-river.stat_size :]) < level else "up", level)

    def state_dict(self) -> State:
        version, words, gauss_next = self._river._rng.getstate()
        assert (version, gauss_next) == (_MERSENNE_TWISTER, None), "River draws samples alone"
        return {
            "schema_version": _SCHEMA_VERSION,
            "detected": bool(self._river._drift_detected),
            "p_value": float(self._river.p_value),
            "n": self._river.n,
            "window": np.array(self._river.window, np.float64),
            "words": np.array(words, np.uint32),
        }

    def load_state_dict(self, state: State) -> None:
        river = self._river
        river._drift_detected = state["detected"]
        river.p_value = state["p_value"]
        river.n = state["n"]
        river.window = deque(state["window"].tolist(), maxlen=river.window_size)
        river._rng.setstate((_MERSENNE_TWISTER, tuple(state["words"].tolist()), None))


class PageHinkley:
    """The Page-Hinkley test [1]_, to one side or to both. Memory: six numbers.

    References
    ----------
    .. [1] Page. Continuous inspection schemes. Biometrika 41, 1954.
    """

    def __init__(self, parameters: PageHinkleyParameters, sides: frozenset[Side]) -> None:
        mode = next(iter(sides)) if len(sides) == 1 else "both"
        self._river = _river().PageHinkley(**parameters.model_dump(), mode=mode)
        own = {"_drift_detected", "mode", "_x_mean", "_test_drift", *_SUMS}
        _refuse_unknown(self._river, {*parameters.model_dump(), *own})
        _refuse_unknown(self._river._x_mean, {"n", "_mean"})

    def update(self, value: float) -> Shift | None:
        river = self._river
        river.update(value)
        if not river.drift_detected:
            return None
        # River does not say which of its two tests it was.
        is_up = river.mode != "down" and (
            river._sum_increase - river._min_increase > river.threshold
        )
        return Shift("up" if is_up else "down", float(river._x_mean.get()))

    def state_dict(self) -> State:
        return {
            "schema_version": _SCHEMA_VERSION,
            "detected": bool(self._river._drift_detected),
            "n": float(self._river._x_mean.n),
            "mean": float(self._river._x_mean._mean),
            **{name: float(getattr(self._river, name)) for name in _SUMS},
        }

    def load_state_dict(self, state: State) -> None:
        self._river._drift_detected = state["detected"]
        self._river._x_mean.n = state["n"]
        self._river._x_mean._mean = state["mean"]
        for name in _SUMS:
            setattr(self._river, name, state[name])


_SUMS = ("_sum_increase", "_sum_decrease", "_min_increase", "_max_decrease")


def _river() -> Any:
    """River's module: it takes a second to import, which only those wait who have such a rule."""
    from river import drift  # noqa: PLC0415

    return drift


def _refuse_unknown(held: object, known: Iterable[str]) -> None:
    """Refuse an object of River that has other attributes than are saved and restored."""
    if differing := set(vars(held)) ^ set(known):
        raise _unknown_river(f"{type(held).__name__} differs in {', '.join(sorted(differing))}")


def _unknown_river(said: str) -> ConfigError:
    return ConfigError(
        f"rules of kind drift: River {version('river')} does not hold what is saved of it: {said}; "
        f"install river~={KNOWN_RIVER}.0"
    )


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
