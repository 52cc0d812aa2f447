import numpy as np
import pytest

from evaluators.distinct_sketch import N_REGISTERS, estimate, registers_of


def sketch_of(hash_N: np.ndarray) -> np.ndarray:
    register_R = np.zeros(N_REGISTERS, np.uint8)
    register_N, zeros_N = registers_of(hash_N)
    np.maximum.at(register_R, register_N, zeros_N)
    return register_R


def random_hashes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**63), 2**63, n)


@pytest.mark.parametrize("n", [1, 100, 5_000, 20_000, 300_000])
def test_the_error_is_what_is_stated(n):
    errors = [estimate(sketch_of(random_hashes(n, seed))) / n - 1 for seed in range(8)]
    standard_error = 1.04 / np.sqrt(N_REGISTERS)
    assert np.abs(np.mean(errors)) < 4 * standard_error / np.sqrt(8)
    assert np.max(np.abs(errors)) < 4 * standard_error


def test_who_comes_again_changes_nothing():
    hashes = random_hashes(1_000, seed=0)
    assert (sketch_of(np.tile(hashes, 3)) == sketch_of(hashes)).all()


def test_two_sketches_become_that_of_both():
    left, right = random_hashes(700, seed=1), random_hashes(900, seed=2)
    both = np.maximum(sketch_of(left), sketch_of(right))
    assert (both == sketch_of(np.concatenate((left, right)))).all()
