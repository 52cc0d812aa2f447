import numpy as np

from stream.catalogue import Catalogue, CatalogueConfig
from stream.contexts import ContextBuilder
from stream.histories import Histories, HistoriesConfig
from stream.id_hash import hash64
from stream.joiner import Joiner
from stream.values import Batch, Changes, Outcomes
from tests.batches import batch_of, cut
from tests.conformance.stateful_contract import StatefulContract


class Loop:
    """The tables and the joiner, without learners."""

    def __init__(self, max_items: int = 100, exclude_seen: bool = False, min_count: int = 1):
        self.catalogue = Catalogue(CatalogueConfig(max_items=max_items, min_count=min_count))
        self.histories = Histories(HistoriesConfig(), 5)
        self.contexts = ContextBuilder(self.catalogue, self.histories, 5, 3, exclude_seen)
        self.joiner = Joiner(self.catalogue, self.histories)

    def step(self, batch: Batch) -> Outcomes:
        outcomes = self.joiner.join(batch, self.contexts.prepare(batch), {})
        self.joiner.follow(self.contexts.advance(batch))
        return outcomes

    def items(self, rows: np.ndarray) -> list[str]:  # type: ignore[type-arg]
        return [self.catalogue.ids[row] if row >= 0 else "-" for row in rows.tolist()]


def test_a_click_on_a_known_item_is_judged_and_learned_at_once():
    loop = Loop()
    loop.step(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    loop.step(batch_of([]))
    outcomes = loop.step(batch_of([("ann", "a", 3)]))
    assert loop.items(outcomes.answer_B) == ["a"]
    assert loop.items(outcomes.lessons.target_M) == ["a"]
    history = outcomes.lessons.contexts.history_CT[outcomes.lessons.context_of_M[0]]
    assert loop.items(history) == ["a", "b"]


def test_a_click_on_a_new_item_is_a_miss_and_is_learned_with_the_next_batch():
    loop = Loop()
    loop.step(batch_of([("ann", "a", 1)]))
    first = loop.step(batch_of([("ann", "new", 5)]))
    assert first.answer_B.tolist() == [-1]
    assert first.is_sample_B.tolist() == [True]
    second = loop.step(batch_of([("bob", "a", 6)]))
    lessons = second.lessons
    assert loop.items(lessons.target_M) == ["new", "a"]
    asked = lessons.contexts.history_CT[lessons.context_of_M[0]]
    assert loop.items(asked[: lessons.contexts.length_C[lessons.context_of_M[0]]]) == ["a"]
    assert lessons.ts_M.tolist() == [5, 6]
    assert lessons.user_M.tolist() == [hash64("ann"), hash64("bob")]


def test_a_click_on_an_item_that_stays_unknown_is_given_up():
    loop = Loop(min_count=3)
    loop.step(batch_of([("ann", "a", 1)]))
    assert len(loop.step(batch_of([("ann", "a", 2)])).lessons) == 0
    assert len(loop.step(batch_of([])).lessons) == 0


def test_each_click_is_learned_once():
    rng = np.random.default_rng(0)
    clicks = [(f"u{rng.integers(5)}", f"i{rng.integers(40)}", t) for t in range(200)]
    loop = Loop()
    learned = []
    for batch in [*cut(clicks, 7), batch_of([])]:
        lessons = loop.step(batch).lessons
        learned += list(zip(loop.items(lessons.target_M), lessons.ts_M.tolist(), strict=True))
    assert sorted(learned, key=lambda pair: pair[1]) == [(item, ts) for _, item, ts in clicks]


def test_with_seen_items_excluded_a_repeated_click_is_learned_but_no_sample():
    loop = Loop(exclude_seen=True)
    loop.step(batch_of([("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 3)]))
    loop.step(batch_of([]))
    outcomes = loop.step(batch_of([("ann", "a", 5), ("bob", "b", 6), ("eve", "a", 7)]))
    assert outcomes.is_sample_B.tolist() == [False, True, True]
    assert loop.items(outcomes.lessons.target_M) == ["a", "b", "a"]


def test_a_deferred_context_loses_the_rows_that_were_recycled():
    loop = Loop(max_items=2)
    loop.step(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    loop.step(batch_of([("ann", "b", 3)]))
    loop.step(batch_of([("ann", "c", 4)]))  # takes the row of a, which is in its own context
    lessons = loop.step(batch_of([])).lessons
    assert loop.items(lessons.target_M) == ["c"]
    context = lessons.context_of_M[0]
    kept = lessons.contexts.history_CT[context, : lessons.contexts.length_C[context]]
    assert loop.items(kept) == ["b", "b"]


def test_a_forgotten_user_is_not_learned_from_any_more():
    loop = Loop()
    loop.step(batch_of([("ann", "new", 1), ("bob", "newer", 2)]))
    loop.joiner.follow(Changes(2, np.zeros(0, np.int32), np.array([hash64("ann")], np.int64)))
    assert loop.items(loop.step(batch_of([])).lessons.target_M) == ["newer"]


class TestJoinerState(StatefulContract):
    def make(self) -> Joiner:
        self.loop = Loop()
        return self.loop.joiner

    def drive(self, obj: Joiner, step: int) -> object:
        catalogue = Catalogue(CatalogueConfig())
        known = [f"i{n}" for n in range(10 * (step + 1))]
        catalogue.admit(known, [])
        obj._catalogue = catalogue
        histories = Histories(HistoriesConfig(), 5)
        batch = batch_of([("ann", f"i{10 * step + n + 5}", n) for n in range(10)], step)
        builder = ContextBuilder(catalogue, histories, 5, 3, False)
        return obj.join(batch, builder.prepare(batch), {}).lessons.target_M.tolist()


def test_with_seen_items_excluded_a_newcomer_is_a_sample_once_a_batch():
    loop = Loop(exclude_seen=True)
    outcomes = loop.step(
        batch_of([("ann", "n", 1), ("bob", "n", 2), ("ann", "n", 2), ("ann", "n", 3)])
    )
    assert outcomes.is_sample_B.tolist() == [True, True, False, False]
