"""What River's ADWIN holds, between the bytes that it hands out and plain numbers and arrays.

# B sizes of buckets (1, 2, 4, ... values), M buckets of a size at most

River's ADWIN [1]_ is compiled: it hands out its state as bytes, in the order in which its fields
are declared, little-endian, a list with its length before it. Bytes that are not exactly that are
refused, so that another release of River that holds something else is noticed.

References
----------
.. [1] River 0.26, rust_src/adwin.rs, `AdaptiveWindowing`.
"""

import struct
from dataclasses import dataclass

import numpy as np

from stream.values import Float64s, Int64s, State

# delta, clock, max_buckets, min_window_length, grace_period; total, variance, width, total_width;
# n_buckets, max_n_buckets, tick, n_detections; how many sizes of buckets there are.
_HEAD = struct.Struct("<diQdd4d4iQ")
_SIZES = struct.Struct("<QQQ")
_LENGTH = struct.Struct("<Q")
_TAIL = struct.Struct("<diQii")


@dataclass(frozen=True, slots=True)
class AdwinSettings:
    """The parameters of one ADWIN, as its bytes repeat them."""

    delta: float
    clock: int
    max_buckets: int
    min_window_length: int
    grace_period: int


def state_of_bytes(data: bytes, settings: AdwinSettings) -> State:
    """What these bytes hold beside the settings.

    Raises
    ------
    ValueError
        If the bytes are no state of an ADWIN with these settings.
    """
    try:
        state = _read(data, settings)
    except (struct.error, ValueError) as err:
        raise ValueError(f"{len(data)} bytes are no state of an ADWIN: {err}") from err
    if bytes_of_state(state, settings) != data:
        raise ValueError(f"{len(data)} bytes are no state of an ADWIN with {settings}")
    return state


def bytes_of_state(state: State, settings: AdwinSettings) -> bytes:
    """The bytes that River's ADWIN takes for this state."""
    n_used_B: Int64s = state["n_used_B"]
    parts = [
        _HEAD.pack(
            settings.delta,
            settings.clock,
            settings.max_buckets,
            float(settings.min_window_length),
            float(settings.grace_period),
            *(state[name] for name in ("total", "variance", "width", "total_width")),
            *(state[name] for name in ("n_buckets", "max_n_buckets", "tick", "n_detections")),
            len(n_used_B),
        )
    ]
    rows = zip(n_used_B.tolist(), state["totals_BM"], state["variances_BM"], strict=True)
    for n_used, totals_M, variances_M in rows:
        parts.append(_SIZES.pack(settings.max_buckets, n_used, len(totals_M)))
        parts.append(totals_M.astype("<f8").tobytes())
        parts.append(_LENGTH.pack(len(variances_M)))
        parts.append(variances_M.astype("<f8").tobytes())
    parts.append(
        _TAIL.pack(
            settings.delta,
            settings.clock,
            settings.max_buckets,
            settings.min_window_length,
            settings.grace_period,
        )
    )
    return b"".join(parts)


def _read(data: bytes, settings: AdwinSettings) -> State:
    head = _HEAD.unpack_from(data)
    n_sizes, at = head[-1], _HEAD.size
    capacity = settings.max_buckets + 1
    # A bucket of the 64th size would hold more values than can be counted.
    if n_sizes > 64:
        raise ValueError(f"expected at most 64 sizes of buckets, got {n_sizes}")
    n_used_B = np.zeros(n_sizes, np.int64)
    totals_BM, variances_BM = np.zeros((n_sizes, capacity)), np.zeros((n_sizes, capacity))
    for row in range(n_sizes):
        _, n_used_B[row], _ = _SIZES.unpack_from(data, at)
        at += _SIZES.size
        totals_BM[row] = _floats(data, at, capacity)
        at += 8 * capacity + _LENGTH.size
        variances_BM[row] = _floats(data, at, capacity)
        at += 8 * capacity
    return {
        **dict(zip(("total", "variance", "width", "total_width"), head[5:9], strict=True)),
        **dict(
            zip(("n_buckets", "max_n_buckets", "tick", "n_detections"), head[9:13], strict=True)
        ),
        "n_used_B": n_used_B,
        "totals_BM": totals_BM,
        "variances_BM": variances_BM,
    }


def _floats(data: bytes, at: int, count: int) -> Float64s:
    return np.frombuffer(data, "<f8", count, at).astype(np.float64)
