import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.timelines import UNNAMED, Arrivals, Past, Timelines, is_live, merge, pack_items, rows_of

GAP_MS = 10
N_GROUPS = 3
ENTRIES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 5)), max_size=12)


def merged(
    past: list[tuple[int, int, int]],
    new: list[tuple[int, int, int]],
    sessions: list[int] | None = None,
    past_sessions: list[int] | None = None,
) -> Timelines:
    """From (group, ts, item) entries; as in the loop, every group has a click of the batch."""
    order = sorted(range(len(past)), key=lambda i: past[i][:2])
    old = [past[i] for i in order]
    known = past_sessions or [1 + entry[0] for entry in past]
    new = sorted(new, key=lambda entry: entry[1])
    return merge(
        Past(
            item_E=np.array([e[2] for e in old], np.int64),
            ts_E=np.array([e[1] for e in old], np.int64),
            session_E=np.array([known[i] for i in order], np.int64),
            length_G=np.bincount(
                np.array([e[0] for e in old], np.int64),
                minlength=1 + max(entry[0] for entry in new),
            ),
        ),
        Arrivals(
            item_B=np.array([e[2] for e in new], np.int64),
            ts_B=np.array([e[1] for e in new], np.int64),
            group_B=np.array([e[0] for e in new], np.int64),
            session_B=np.array(sessions or [UNNAMED] * len(new), np.int64),
        ),
        GAP_MS,
        next_session=100,
    )


ARRIVALS = ENTRIES.map(lambda entries: [(0, 3, 1), (1, 9, 2), (2, 9, 2), *entries])


@given(ENTRIES, ARRIVALS)
def test_the_merge_is_a_stable_sort_by_user_and_time(past, new):
    timelines = merged(past, new)
    old = sorted(past, key=lambda entry: entry[:2])
    arrived = sorted(new, key=lambda entry: entry[1])
    expected = sorted([*old, *arrived], key=lambda entry: entry[:2])
    group_E = np.repeat(np.arange(N_GROUPS), np.diff(timelines.starts_G))
    found = zip(group_E.tolist(), timelines.ts_E.tolist(), timelines.item_E.tolist(), strict=True)
    assert list(found) == expected
    for entry, slot in zip(arrived, timelines.slot_B.tolist(), strict=True):
        assert (timelines.ts_E[slot], timelines.item_E[slot]) == entry[1:]


@given(ENTRIES, ARRIVALS)
def test_before_finds_the_first_entry_that_is_not_strictly_earlier(past, new):
    timelines = merged(past, new)
    arrived = sorted(new, key=lambda entry: entry[1])
    ends = timelines.before(timelines.group_B, np.array([entry[1] for entry in arrived], np.int64))
    for (group, ts, _), end in zip(arrived, ends.tolist(), strict=True):
        start = timelines.starts_G[group]
        earlier = [e for e in [*past, *new] if e[0] == group and e[1] < ts]
        assert end - start == len(earlier)


@given(ENTRIES, ARRIVALS)
def test_repeats_are_what_a_set_would_find(past, new):
    found = merged(past, new).repeats().tolist()
    seen = set(past)
    for entry, is_repeat in zip(sorted(new, key=lambda e: e[1]), found, strict=True):
        assert is_repeat == (entry in seen)
        seen.add(entry)


def test_a_pause_divides_sessions_and_a_name_overrules_it():
    new = [(0, 0, 1), (0, 5, 2), (0, 100, 3), (0, 104, 4), (0, 106, 5)]
    assert merged([], new).session_E.tolist() == [100, 100, 101, 101, 101]
    named = merged([], new, sessions=[-7, -7, -7, -8, UNNAMED])
    assert named.session_E.tolist() == [-7, -7, -7, -8, -8]


def test_a_late_click_joins_the_session_that_it_names():
    past = [(0, 0, 1), (0, 5, 2), (0, 100, 3)]
    late = merged(past, [(0, 7, 4)], sessions=[-7], past_sessions=[-7, -7, -9])
    assert late.session_E.tolist() == [-7, -7, -7, -9]
    assert late.next_session == 100


def test_packed_items_give_their_rows_back_while_they_mean_the_same():
    generation_V = np.array([3, 0], np.int32)
    packed = pack_items(["a", "b", "?", "!", "?"], np.array([0, 1, -1, -1, -1]), generation_V)
    assert rows_of(packed[:2]).tolist() == [0, 1]
    assert packed[2:].tolist() == [-1, -2, -1]
    assert is_live(packed, generation_V).tolist() == [True, True, False, False, False]
    generation_V[0] += 1
    assert is_live(packed, generation_V).tolist() == [False, True, False, False, False]
