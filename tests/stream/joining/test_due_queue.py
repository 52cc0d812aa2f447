import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.joining.due_queue import DueQueue

ADD = st.tuples(st.just("add"), st.lists(st.integers(0, 20), max_size=6))
TAKE = st.tuples(st.sampled_from(["take", "until"]), st.integers(0, 20))


@given(st.lists(st.one_of(ADD, TAKE), max_size=30))
def test_it_hands_out_what_a_sorted_list_would(steps):
    queue, plain, n_rows = DueQueue(), [], 0
    for step, value in steps:
        if step == "add":
            times = sorted(value)
            rows = range(n_rows, n_rows + len(times))
            n_rows += len(times)
            queue.add(np.array(rows, np.int64), np.array(times, np.int64))
            plain = sorted([*plain, *zip(times, rows, strict=True)])
            continue
        if step == "take":
            n_taken = min(value, len(plain))
            taken = queue.take(value)
        else:
            n_taken = sum(ts <= value for ts, _ in plain)
            taken = queue.take_until(value)
        assert taken.tolist() == [row for _, row in plain[:n_taken]]
        plain = plain[n_taken:]
        assert len(queue) == len(plain)


def test_what_was_taken_is_not_written_over():
    queue = DueQueue()
    queue.add(np.array([0, 1]), np.array([5, 6]))
    taken = queue.take(1)
    for row in range(2, 40):
        queue.add(np.array([row]), np.array([row]))
    assert taken.tolist() == [0]
