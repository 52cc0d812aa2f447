import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.catalogue import Catalogue, CatalogueConfig
from stream.contexts import Asked, ContextBuilder
from stream.events import Click, Forget, Impression
from stream.histories import Histories, HistoriesConfig
from stream.values import Batch, Queries
from tests.batches import batch_of, batch_of_events, cut

USERS = st.sampled_from(["ann", "bob", "eve"])
ITEMS = st.sampled_from([f"i{n}" for n in range(6)])
# Few distinct times, in any order: equal times and late arrivals are the rule here.
CLICKS = st.lists(st.tuples(USERS, ITEMS, st.integers(0, 40)), max_size=60)


def builder_of(
    history_items: int = 5,
    max_items: int = 100,
    exclude_seen: bool = False,
    max_users: int = 100,
    session_gap: int = 10,
) -> tuple[Catalogue, ContextBuilder]:
    catalogue = Catalogue(CatalogueConfig(max_items=max_items))
    histories = Histories(
        HistoriesConfig(max_users=max_users, session_gap=session_gap),
        50 if exclude_seen else history_items,
    )
    return catalogue, ContextBuilder(catalogue, histories, Asked(history_items, 3, exclude_seen))


def histories_asked(queries: Queries) -> list[list[int]]:
    contexts = queries.contexts
    return [contexts.history_CT[c, : contexts.length_C[c]].tolist() for c in queries.context_of_B]


@given(CLICKS, st.integers(1, 9))
def test_a_context_holds_exactly_what_was_clicked_strictly_earlier(clicks, size):
    catalogue, builder = builder_of(history_items=100)
    arrived: list[tuple[str, str, int]] = []
    for batch in cut(clicks, size):
        own = list(zip(batch.clicks.user_B, batch.clicks.item_B, batch.clicks.ts_B, strict=True))
        known = [own_click for own_click in own if catalogue.rows([own_click[1]])[0] >= 0]
        asked = histories_asked(builder.prepare(batch))
        for (user, _, ts), history in zip(own, asked, strict=True):
            earlier = [c for c in [*arrived, *known] if c[0] == user and c[2] < ts]
            expected = catalogue.rows([c[1] for c in sorted(earlier, key=lambda c: c[2])])
            assert history == expected.tolist()
        builder.advance(batch)
        arrived += own


@given(CLICKS, st.integers(1, 9), st.data())
def test_no_answer_moves_a_query_that_is_as_early(clicks, size, data):
    """Rule 1: change any answer, and no query of that time or before, or of another user, moves."""
    changed = data.draw(st.integers(0, max(len(clicks) - 1, 0)))
    if not clicks:
        return
    user, _, ts = clicks[changed]
    other = [*clicks[:changed], (user, data.draw(ITEMS), ts), *clicks[changed + 1 :]]
    _, builder = builder_of()
    _, other_builder = builder_of()
    for batch, other_batch in zip(cut(clicks, size), cut(other, size), strict=True):
        asked = histories_asked(builder.prepare(batch))
        other_asked = histories_asked(other_builder.prepare(other_batch))
        for b, (history, other_history) in enumerate(zip(asked, other_asked, strict=True)):
            if batch.clicks.user_B[b] != user or batch.clicks.ts_B[b] <= ts:
                assert history == other_history
        if batch.clicks.item_B != other_batch.clicks.item_B:
            return  # behind the changed batch the rows of new items may be numbered otherwise
        builder.advance(batch)
        other_builder.advance(other_batch)


def test_clicks_at_one_instant_share_one_context():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 3)]))
    queries = builder.prepare(batch_of([("ann", "b", 9), ("ann", "c", 9), ("ann", "a", 9)]))
    assert queries.context_of_B.tolist() == [0, 0, 0]
    assert queries.contexts.history_CT.tolist() == [[0, 1, 2]]


def test_own_earlier_clicks_of_the_batch_extend_the_context():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1), ("bob", "b", 2)]))
    queries = builder.prepare(batch_of([("ann", "b", 5), ("bob", "a", 6), ("ann", "a", 7)]))
    assert histories_asked(queries) == [[0], [1], [0, 1]]


def test_a_late_click_is_asked_about_its_own_time_and_kept_there():
    catalogue, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 10), ("ann", "b", 30)]))
    late = batch_of([("ann", "c", 20)])
    assert histories_asked(builder.prepare(late)) == [[0]]
    builder.advance(late)
    after = histories_asked(builder.prepare(batch_of([("ann", "a", 40)])))
    assert [catalogue.ids[row] for row in after[0]] == ["a", "c", "b"]


def test_an_item_admitted_after_the_batch_began_is_in_no_context_of_the_batch():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1)]))
    batch = batch_of([("ann", "new", 2), ("ann", "a", 3)])
    assert histories_asked(builder.prepare(batch)) == [[0], [0]]
    builder.advance(batch)
    assert histories_asked(builder.prepare(batch_of([("ann", "a", 4)]))) == [[0, 1, 0]]


def test_a_recycled_row_disappears_from_histories():
    _, builder = builder_of(max_items=2)
    builder.advance(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    changes = builder.advance(batch_of([("bob", "c", 3)]))
    assert changes.recycled_R.tolist() == [0]
    assert histories_asked(builder.prepare(batch_of([("ann", "b", 9)]))) == [[1]]


@pytest.mark.parametrize("sessions", [None, ["x", "x", "y", "y"]])
def test_a_session_ends_by_its_name_or_by_a_pause(sessions):
    _, builder = builder_of(session_gap=10)
    clicks = [("ann", "a", 0), ("ann", "b", 5), ("ann", "c", 100), ("ann", "d", 105)]
    builder.advance(batch_of(clicks, sessions=sessions))
    names = None if sessions is None else ["y", "z"]
    queries = builder.prepare(batch_of([("ann", "a", 110), ("ann", "b", 500)], sessions=names))
    assert queries.session_length_B.tolist() == [2, 0]
    assert queries.session_B[0] != queries.session_B[1]


def test_seen_items_are_all_of_the_kept_history():
    _, builder = builder_of(history_items=2, exclude_seen=True)
    builder.advance(batch_of([("ann", name, ts) for ts, name in enumerate("abcd")]))
    queries = builder.prepare(batch_of([("ann", "a", 9), ("bob", "a", 9)]))
    seen = queries.contexts.seen
    assert seen is not None
    assert queries.contexts.history_CT[queries.context_of_B[0]].tolist() == [2, 3]
    ann = queries.context_of_B[0]
    assert seen.values[seen.starts[ann] : seen.starts[ann + 1]].tolist() == [0, 1, 2, 3]


def test_a_forgotten_user_has_no_history():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1), ("bob", "b", 2)]))
    changes = builder.advance(batch_of([], others=(Forget(user="ann", ts=3),)))
    assert len(changes.forgotten_F) == 1
    queries = builder.prepare(batch_of([("ann", "b", 9), ("bob", "a", 9)]))
    assert histories_asked(queries) == [[], [1]]


def test_users_over_the_cap_are_forgotten_stalest_first():
    _, builder = builder_of(max_users=2)
    for seq, (user, item) in enumerate([("ann", "a"), ("bob", "b"), ("ann", "b"), ("eve", "a")]):
        builder.advance(batch_of([(user, item, seq)]))
    queries = builder.prepare(batch_of([("ann", "a", 9), ("bob", "a", 9), ("eve", "b", 9)]))
    assert [len(history) for history in histories_asked(queries)] == [2, 0, 1]


def test_a_click_delivered_again_is_a_dead_letter_not_a_query():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    again = [
        ("ann", "b", 2),
        ("ann", "a", 2),
        ("bob", "b", 2),
        ("ann", "new", 3),
        ("ann", "new", 3),
    ]
    batch = builder.without_repeats(batch_of(again))
    assert list(zip(batch.clicks.user_B, batch.clicks.item_B, strict=True)) == [
        ("ann", "a"),
        ("bob", "b"),
        ("ann", "new"),
    ]
    assert [json.loads(letter.raw)["item"] for letter in batch.dead_letters] == ["b", "new"]
    assert batch.n_records == 5


@given(CLICKS, st.integers(1, 9))
def test_of_equal_clicks_exactly_one_stays(clicks, size):
    _, builder = builder_of(history_items=100)
    kept = []
    for arrived in cut(clicks, size):
        batch = builder.without_repeats(arrived)
        kept += zip(
            batch.clicks.user_B, batch.clicks.item_B, batch.clicks.ts_B.tolist(), strict=True
        )
        builder.advance(batch)
    assert sorted(kept) == sorted(set(clicks))


def test_an_empty_batch_asks_nothing():
    _, builder = builder_of()
    queries = builder.prepare(batch_of([]))
    assert (len(queries), queries.contexts.history_CT.shape) == (0, (0, 1))
    assert builder.advance(batch_of([])).n_items == 0


def test_restored_tables_ask_the_same():
    rng = np.random.default_rng(1)
    clicks = [(f"u{rng.integers(9)}", f"i{rng.integers(30)}", int(t)) for t in range(300)]

    def tables() -> tuple[Catalogue, Histories, ContextBuilder]:
        catalogue = Catalogue(CatalogueConfig(max_items=12, min_count=2))
        histories = Histories(HistoriesConfig(max_users=5, session_gap=3), 4)
        return catalogue, histories, ContextBuilder(catalogue, histories, Asked(4, 3, False))

    catalogue, histories, builder = tables()
    batches = cut(clicks, 16)
    for batch in batches[:10]:
        builder.advance(batch)
    other_catalogue, other_histories, other_builder = tables()
    other_catalogue.load_state_dict(catalogue.state_dict())
    other_histories.load_state_dict(histories.state_dict())
    for batch in batches[10:]:
        one, other = builder.prepare(batch), other_builder.prepare(batch)
        assert histories_asked(one) == histories_asked(other)
        assert one.session_B.tolist() == other.session_B.tolist()
        one_change, other_change = builder.advance(batch), other_builder.advance(batch)
        assert one_change.recycled_R.tolist() == other_change.recycled_R.tolist()


def test_a_forgotten_user_keeps_only_what_was_clicked_after_the_request():
    _, builder = builder_of()
    builder.advance(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    forget = (Forget(user="ann", ts=5),)
    builder.advance(batch_of([("ann", "b", 4), ("ann", "a", 6)], others=forget))
    queries = builder.prepare(batch_of([("ann", "b", 9)]))
    assert histories_asked(queries) == [[0]]


TOLD = {"device": "tv", "hour": 7, "screen": {"w": 9}, "long": "x" * 99, "user_agent": "spy"}


def told_batch(told: dict | None) -> Batch:
    clicks = [Click("ann", "i0", 5, context=told), Click("bob", "i1", 6)]
    return batch_of_events([*clicks, Impression("r", "ann", ["i0"], 6, context=told)], 0)


def test_of_what_requests_carry_only_what_was_declared_is_kept_as_short_texts():
    catalogue, histories = Catalogue(CatalogueConfig()), Histories(HistoriesConfig(), 5)
    declared = ("device", "hour", "screen", "long")
    batch = ContextBuilder(catalogue, histories, Asked(5, 3, False, sliced_by=declared)).read(
        told_batch(TOLD)
    )
    kept = {"device": "tv", "hour": "7", "long": "x" * 64}
    assert batch.clicks.context_B == [kept, None]
    assert batch.impressions.context_N == [kept]


@pytest.mark.parametrize("told", [TOLD, None, {}, {"device": None}])
def test_where_nothing_declared_was_carried_nothing_is_kept(told):
    catalogue, histories = Catalogue(CatalogueConfig()), Histories(HistoriesConfig(), 5)
    for declared in ((), ("page", "device") if told is not TOLD else ("page",)):
        batch = ContextBuilder(catalogue, histories, Asked(5, 3, False, sliced_by=declared)).read(
            told_batch(told)
        )
        assert batch.clicks.context_B is None
        assert batch.impressions.context_N is None


def test_a_click_that_is_no_repeat_keeps_what_its_request_carried():
    _, builder = builder_of()
    told = {"device": "tv"}
    events = [Click("ann", "i0", 5), Click("ann", "i0", 5), Click("bob", "i1", 6, context=told)]
    assert builder.without_repeats(batch_of_events(events, 0)).clicks.context_B == [None, told]
