import numpy as np

from stream.histories import Histories, HistoriesConfig
from stream.id_hash import hash64
from stream.timelines import pack_items
from tests.batches import batch_of
from tests.conformance.stateful_contract import StatefulContract

GENERATION_V = np.zeros(50, np.int32)


def histories_of(max_users: int = 10, entries: int = 3) -> Histories:
    return Histories(HistoriesConfig(max_users=max_users), entries)


def click(histories: Histories, *clicks: tuple[str, int, int]) -> None:
    batch = batch_of([(user, str(item), ts) for user, item, ts in clicks])
    rows_B = np.array([int(item) for item in batch.clicks.item_B], np.int32)
    packed = pack_items(batch.clicks.item_B, rows_B, GENERATION_V)
    group_of, timelines = histories.merged_with(batch.clicks, packed)
    histories.advance(list(group_of), timelines, GENERATION_V)


def items_of(histories: Histories) -> dict[str, list[int]]:
    state = histories.state_dict()
    return {
        name: state["item"][row, : state["length"][row]].tolist()
        for row, name in enumerate(state["table"]["ids"])
    }


def test_the_last_entries_by_event_time_are_kept():
    histories = histories_of()
    click(histories, ("ann", 1, 10), ("ann", 2, 20), ("bob", 9, 15))
    click(histories, ("ann", 3, 5), ("ann", 4, 30), ("ann", 5, 40))
    assert items_of(histories) == {"ann": [2, 4, 5], "bob": [9]}


def test_nothing_of_a_user_stays_when_another_takes_the_row():
    histories = histories_of(max_users=1)
    click(histories, ("ann", 11, 1), ("ann", 12, 2), ("ann", 13, 3))
    click(histories, ("bob", 21, 4))
    state = histories.state_dict()
    assert sorted(state["item"].ravel().tolist()) == [0, 0, 21]
    assert sorted(state["ts"].ravel().tolist()) == [0, 0, 4]


def test_nothing_of_a_forgotten_user_stays():
    histories = histories_of()
    click(histories, ("ann", 11, 1), ("bob", 21, 2))
    histories.forget("ann")
    state = histories.state_dict()
    assert not state["item"][0].any()
    assert hash64("ann") not in state["key"].tolist()
    assert "ann" not in state["table"]["ids"]


def test_a_user_is_known_by_a_fixed_hash_before_and_after_the_first_click():
    histories = histories_of()
    before = histories.user_hashes(["ann", "bob"]).tolist()
    click(histories, ("ann", 1, 1))
    assert (
        histories.user_hashes(["ann", "bob"]).tolist() == before == [hash64("ann"), hash64("bob")]
    )


def test_tables_never_grow_past_the_cap():
    histories = histories_of(max_users=5)
    click(histories, *[(f"u{n}", n, n) for n in range(40)])
    assert len(histories._item_UH) == 5


class TestHistoriesState(StatefulContract):
    @staticmethod
    def make() -> Histories:
        return histories_of(max_users=4)

    @staticmethod
    def drive(stateful: Histories, step: int) -> object:
        click(stateful, *[(f"u{(step * n) % 7}", n, 100 * step + n) for n in range(1, 9)])
        if step == 3:
            stateful.forget("u3")
        return items_of(stateful)
