"""Declared fields of a mapping: checked, and laid out as columns.

# N mappings, J tokens of one, R raw numbers of one, F numbers of one on a common scale

A value of another kind than declared, or one that no scale could hold, is as good as missing: the
event stays what it is, the log says what came.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stream.id_hash import hash32
from stream.input_settings import HARMONICS, FieldConfig, Fields
from stream.running_moments import RunningMoments
from stream.tokens import MAX_TOKEN, size_token
from stream.values import Float64s, Int32s

LOGGER = logging.getLogger("freshrank.inputs")

LARGEST_NUMBER = 1e15
"""Beyond it squares of sums lose their precision, and no request measures anything."""
LIMIT = 5.0
"""Deviations from the mean beyond which all numbers are alike."""

Told = Mapping[str, Any]


class FieldColumns:
    """Reads what was declared, out of one kind of mapping.

    Parameters
    ----------
    fields : mapping of str to FieldConfig
        The declared fields by name.
    place : str
        What the mappings are, for messages; and what tells their tokens from others'.
    token_buckets : int
        Buckets that tokens are hashed into.

    Examples
    --------
    >>> fields = {"device": FieldConfig(kind="category"), "load": FieldConfig(kind="number")}
    >>> columns = FieldColumns(fields, "context", 1_000)
    >>> columns.checked({"device": "phone", "load": 0.5, "other": 1})
    {'device': 'phone', 'load': 0.5}
    >>> token_NJ, raw_NR = columns.columns([{"load": 0.5}, None])
    >>> token_NJ.tolist(), raw_NR.tolist()
    ([[-1], [-1]], [[0.5], [nan]])
    """

    def __init__(self, fields: Fields, place: str, token_buckets: int) -> None:
        self._fields = fields
        self._place = place
        self._n_buckets = token_buckets
        self._tokens = [name for name, field in fields.items() if field.is_token]
        self._numbers = [name for name, field in fields.items() if not field.is_token]
        self._is_cycle_R = np.array([fields[n].kind == "cycle" for n in self._numbers], np.bool_)
        self._period_R = np.array([fields[n].period or 1.0 for n in self._numbers])
        # How often each field was of no use: only for the log, and no part of the state.
        self._n_refused = dict.fromkeys(fields, 0)

    @property
    def n_raw(self) -> int:
        """R."""
        return len(self._numbers)

    def checked(self, told: Told | None) -> dict[str, Any] | None:
        """The declared fields of a mapping that can be used; None if there are none."""
        if not told:
            return None
        found: dict[str, Any] = {}
        for name, field in self._fields.items():
            if (value := told.get(name)) is None:
                continue
            if problem := _problem(field, value):
                self._tell(name, problem, value)
            else:
                is_category = field.kind == "category"
                found[name] = str(value)[:MAX_TOKEN] if is_category else float(value)
        return found or None

    def columns(self, told_N: Sequence[Told | None]) -> tuple[Int32s, Float64s]:
        """Tokens (-1 where there is none) and raw numbers (nan) of checked mappings."""
        token_NJ = np.full((len(told_N), len(self._tokens)), -1, np.int32)
        raw_NR = np.full((len(told_N), self.n_raw), np.nan)
        for n, told in enumerate(told_N):
            if told:
                for j, name in enumerate(self._tokens):
                    if name in told:
                        token_NJ[n, j] = self._bucket(name, told[name])
                for r, name in enumerate(self._numbers):
                    if name in told:
                        raw_NR[n, r] = told[name]
        return token_NJ, raw_NR

    def scaled(self, raw_NR: Float64s, moments: RunningMoments) -> Float64s:
        """Raw numbers on a common scale, shape (N, F): 0 where one is missing."""
        scaled_NR = moments.scaled(raw_NR, LIMIT)
        parts = [np.zeros((len(raw_NR), 0))]
        for r, is_cycle in enumerate(self._is_cycle_R.tolist()):
            if is_cycle:
                parts.append(circled(raw_NR[:, r] / self._period_R[r]))
            else:
                parts.append(scaled_NR[:, [r]])
        return np.concatenate(parts, axis=1)

    def _bucket(self, name: str, value: Any) -> int:
        if self._fields[name].kind == "number":
            token = size_token(f"{self._place}.{name}", value)
        else:
            token = f"{self._place}.{name}={value}"
        return hash32(token) % self._n_buckets

    def _tell(self, name: str, problem: str, value: Any) -> None:
        self._n_refused[name] += 1
        n_refused = self._n_refused[name]
        if n_refused & (n_refused - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            LOGGER.warning(
                "%s.%s is not used, for the %d. time: expected %s, got %s",
                self._place,
                name,
                n_refused,
                problem,
                _shown(value),
            )


def circled(turns_N: Float64s) -> Float64s:
    """Where numbers are on a circle: sines and cosines of so many turns, 0 for nan; (N, F).

    Examples
    --------
    >>> circled(np.array([0.25, 5.25]))[:, :2].round(6).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    angle_N = 2 * np.pi * np.mod(turns_N, 1.0)
    waves = [wave(h * angle_N) for h in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)]
    circled_NF: Float64s = np.nan_to_num(np.stack(waves, axis=1), nan=0.0)
    return circled_NF


def _problem(field: FieldConfig, value: Any) -> str | None:
    """What was expected of a value; None if it is that."""
    if field.kind == "category":
        return None if isinstance(value, str | int | float) else "a text or a number"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and abs(value) <= LARGEST_NUMBER:
        return None
    return f"a finite number within ±{LARGEST_NUMBER:g}"


def _shown(value: Any) -> str:
    text = f"{value:.40}" if isinstance(value, str) else str(value)[:40]
    return f"{type(value).__name__} {text!r}"
