"""How many different hashes there were, from a few kilobytes: HyperLogLog.

# N hashes, R registers

A hash names a register by its first bits and tells of it how many zeros follow; a register keeps
the largest number. Two sketches become one by the larger of each pair [1]_, and the estimate is
Ertl's, which needs no correction for few or for many [2]_. Its standard error is
1.04 / sqrt(R): 1.6 % with 4,096 registers.

References
----------
.. [1] Flajolet, Fusy, Gandouet, Meunier. HyperLogLog: the analysis of a near-optimal cardinality
   estimation algorithm. AofA 2007.
.. [2] Ertl. New cardinality estimation algorithms for HyperLogLog sketches. arXiv:1702.01284, 2017.
"""

import math

import numpy as np
from numpy.typing import NDArray

from stream.values import Int64s

REGISTER_BITS = 12
N_REGISTERS = 1 << REGISTER_BITS
# What is left of 64 bits; float64 tells the length of a number of so many exactly.
_REST_BITS = 64 - REGISTER_BITS


def registers_of(hash_N: Int64s) -> tuple[Int64s, NDArray[np.uint8]]:
    """Which register each hash belongs to, and what it tells of it: 1 .. 53.

    Examples
    --------
    >>> registers_of(np.array([0, 1, -1]))
    (array([   0,    0, 4095]), array([53, 52,  1], dtype=uint8))
    """
    bits_N = hash_N.astype(np.uint64)
    register_N = (bits_N >> np.uint64(_REST_BITS)).astype(np.int64)
    rest_N = bits_N & np.uint64((1 << _REST_BITS) - 1)
    length_N = np.frexp(rest_N.astype(np.float64))[1]
    return register_N, (_REST_BITS + 1 - length_N).astype(np.uint8)


def estimate(register_R: NDArray[np.uint8]) -> float:
    """How many different hashes the registers have seen.

    Examples
    --------
    >>> estimate(np.zeros(4096, np.uint8))
    0.0
    """
    n_registers = len(register_R)
    count = np.bincount(register_R, minlength=_REST_BITS + 2).tolist()
    z = n_registers * _tau(1.0 - count[_REST_BITS + 1] / n_registers)
    for k in range(_REST_BITS, 0, -1):
        z = 0.5 * (z + count[k])
    z += n_registers * _sigma(count[0] / n_registers)
    return n_registers * n_registers / (2.0 * math.log(2.0) * z)


def _sigma(x: float) -> float:
    """What registers that saw nothing stand for."""
    if x == 1.0:
        return math.inf
    power, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * power
        power += power
        if z == before:
            return z


def _tau(x: float) -> float:
    """What registers that are full stand for."""
    if x in (0.0, 1.0):
        return 0.0
    power, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        power *= 0.5
        z -= (1.0 - x) ** 2 * power
        if z == before:
            return z / 3.0
