import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.joining.pair_chains import PairChains, pair_keys

KEYS = st.sampled_from([7, 8, 7 + 1024, -7, 7 + 4096])  # some of them share a bucket
ENTRIES = st.lists(st.tuples(KEYS, st.integers(0, 20)), max_size=12)


@given(
    batches=st.lists(ENTRIES, max_size=5),
    unusable=st.sets(st.integers(0, 60)),
    asked=st.lists(st.tuples(KEYS, st.integers(0, 20), st.integers(0, 20)), max_size=5),
)
def test_the_latest_entry_is_the_one_that_a_search_through_all_finds(batches, unusable, asked):
    chains, entries = PairChains(), []
    for batch in batches:
        chains.extend(
            np.array([key for key, _ in batch], np.int64),
            np.array([ts for _, ts in batch], np.int64),
        )
        entries += batch
        for key, since, until in asked:
            found = [
                (ts, entry)
                for entry, (other, ts) in enumerate(entries)
                if other == key and since <= ts <= until and entry not in unusable
            ]
            latest = chains.latest(key, since, until, lambda entry: entry not in unusable)
            assert latest == max(found, default=(0, -1))[1]


def test_entries_are_found_after_the_buckets_were_made_more():
    chains = PairChains()
    keys = pair_keys(np.arange(5_000) % 70, np.arange(5_000) % 71)
    for part in np.split(np.arange(5_000), 10):
        chains.extend(keys[part], part)
    found = [chains.latest(int(key), 0, 5_000, lambda _: True) for key in keys]
    latest = {int(key): entry for entry, key in enumerate(keys)}
    assert found == [latest[int(key)] for key in keys]


def test_nothing_is_found_after_clearing():
    chains = PairChains()
    chains.extend(np.array([7]), np.array([5]))
    chains.clear()
    assert chains.latest(7, 0, 10, lambda _: True) == -1
    assert len(chains) == 0


def test_a_pair_and_its_reverse_have_different_keys():
    left, right = pair_keys(np.array([1, 2]), np.array([2, 1])).tolist()
    assert left != right
