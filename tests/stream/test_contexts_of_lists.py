"""Contexts of lists that were shown: what was known strictly before, never a click on the list."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.catalogue import Catalogue, CatalogueConfig
from stream.columns import to_columns
from stream.contexts import Asked, ContextBuilder
from stream.events import Click, Event, Impression
from stream.histories import Histories, HistoriesConfig
from stream.targets import ChoiceRule
from stream.values import Batch, Shown

USERS = st.sampled_from(["ann", "bob", "eve"])
ITEMS = st.sampled_from([f"i{n}" for n in range(6)])
TIMES = st.integers(0, 40)
REQUESTS = st.sampled_from(["r1", "r2", "r3"])
CLICKS = st.builds(Click, USERS, ITEMS, TIMES, st.none() | REQUESTS)
LISTS = st.builds(Impression, REQUESTS, USERS, st.lists(ITEMS, min_size=1, unique=True), TIMES)


def builder_of() -> tuple[Catalogue, ContextBuilder]:
    catalogue = Catalogue(CatalogueConfig(max_items=100))
    histories = Histories(HistoriesConfig(max_users=100), 100)
    return catalogue, ContextBuilder(catalogue, histories, Asked(100, 3, exclude_seen=False))


def batch_of_events(events: list[Event]) -> Batch:
    clicks, impressions, others = to_columns(events)
    watermark_ms = max((int(event.ts) for event in events), default=0)
    return Batch(0, len(events), clicks, others, (), watermark_ms, {}, impressions)


def histories_of(shown: Shown | None) -> list[list[int]]:
    assert shown is not None
    contexts = shown.contexts
    return [contexts.history_CT[c, : contexts.length_C[c]].tolist() for c in shown.context_of_N]


@given(st.lists(CLICKS, max_size=12), st.lists(CLICKS | LISTS, max_size=12))
def test_a_lists_context_holds_what_came_before_it_but_no_click_on_itself(before, events):
    catalogue, builder = builder_of()
    builder.advance(batch_of_events(before))
    batch = batch_of_events(events)
    shown = builder.prepare(batch).shown
    if not len(batch.impressions):
        assert shown is None
        return
    in_order = sorted(before, key=lambda e: e.ts) + sorted(
        (e for e in events if isinstance(e, Click)), key=lambda e: e.ts
    )
    n_before = len(before)
    for n, history in enumerate(histories_of(shown)):
        user, ts = batch.impressions.user_N[n], int(batch.impressions.ts_N[n])
        numbered = sorted(enumerate(in_order), key=lambda pair: pair[1].ts)
        expected = []
        for i, click in numbered:
            if click.user != user or click.ts >= ts:
                continue
            if i >= n_before and click.request_id == batch.impressions.request_N[n]:
                continue
            expected.append(click.item)
        rows = catalogue.rows(expected)
        assert history == rows[rows >= 0].tolist()


def test_a_click_whose_clock_runs_ahead_of_its_list_is_not_in_the_lists_context():
    _, builder = builder_of()
    builder.advance(batch_of_events([Click("ann", "a", 1), Click("ann", "b", 2)]))
    early_clicks = [Click("ann", "b", 7, request_id="r1"), Click("ann", "a", 8)]
    batch = batch_of_events([*early_clicks, Impression("r1", "ann", ["b", "a"], 9)])
    assert histories_of(builder.prepare(batch).shown) == [[0, 1, 0]]


def test_users_who_share_a_border_of_the_timelines_keep_their_own_contexts():
    """The end of one user's history is the empty start of the next one's."""
    _, builder = builder_of()
    builder.advance(batch_of_events([Click("ann", "a", 1), Click("ann", "b", 2)]))
    lists = [Impression("r1", "ann", ["a"], 9), Impression("r2", "newcomer", ["a"], 9)]
    assert histories_of(builder.prepare(batch_of_events(lists)).shown) == [[0, 1], []]


def test_items_of_a_list_are_rows_and_places_from_one():
    _, builder = builder_of()
    builder.advance(batch_of_events([Click("ann", "a", 1), Click("ann", "b", 2)]))
    lists = [Impression("r1", "ann", ["b", "new"], 9), Impression("r2", "ann", ["a"], 9)]
    shown = builder.prepare(batch_of_events(lists)).shown
    assert shown.item_S.tolist() == [1, -1, 0]
    assert shown.position_S.tolist() == [1, 2, 1]
    assert shown.starts.tolist() == [0, 2, 3]
    assert shown.context_of_N.tolist() == [0, 0]


def test_users_who_only_look_take_no_place_in_the_histories():
    _, builder = builder_of()
    builder.advance(batch_of_events([Click("ann", "a", 1)]))
    batch = batch_of_events([Impression("r1", "bob", ["a"], 2), Impression("r2", "ann", ["a"], 2)])
    builder.prepare(batch)
    builder.advance(batch)
    assert len(builder._histories) == 1
    later = batch_of_events([Impression("r3", "ann", ["a"], 9)])
    assert histories_of(builder.prepare(later).shown) == [[0]]


RULE = ChoiceRule(1.0, 5)


@given(st.lists(CLICKS, max_size=12), st.lists(CLICKS, max_size=6), USERS, TIMES)
def test_the_session_of_a_list_is_the_one_that_a_click_at_its_time_would_go_on(
    before, beside, user, ts
):
    """Sessions end at a pause of more than 5; no click names the list or its session."""
    lengths = []
    beside = [replace_request(click) for click in beside]
    beside = [click for click in beside if (click.user, click.ts) != (user, ts)]
    for asked in (Click(user, "other", ts), Impression("list", user, ["i1"], ts)):
        catalogue = Catalogue(CatalogueConfig(max_items=100))
        histories = Histories(HistoriesConfig(max_users=100, session_gap="5ms"), 100)
        builder = ContextBuilder(catalogue, histories, Asked(100, 3, exclude_seen=False, rule=RULE))
        builder.advance(batch_of_events([Click("ann", f"i{n}", 0) for n in range(6)]))
        builder.advance(batch_of_events([replace_request(click) for click in before]))
        batch = batch_of_events([*beside, asked])
        queries = builder.prepare(batch)
        if isinstance(asked, Click):
            lengths.append(int(queries.session_length_B[batch.clicks.item_B.index("other")]))
        else:
            lengths.append(int(queries.shown.choice.session_length_N[0]))
    assert lengths[0] == lengths[1]


def replace_request(click: Click) -> Click:
    return Click(click.user, click.item, int(click.ts))


def test_a_list_asks_for_a_choice_only_by_a_rule_and_then_tells_what_its_user_has_seen():
    events = [Click("ann", "a", 1), Click("ann", "b", 2), Click("bob", "a", 3)]
    lists = [Impression("r1", "bob", ["b"], 9), Impression("r2", "ann", ["a"], 9)]
    for rule in (None, RULE):
        catalogue = Catalogue(CatalogueConfig(max_items=100))
        histories = Histories(HistoriesConfig(max_users=100), 100)
        builder = ContextBuilder(catalogue, histories, Asked(100, 3, exclude_seen=True, rule=rule))
        builder.advance(batch_of_events(events))
        shown = builder.prepare(batch_of_events(lists)).shown
        if rule is None:
            assert (shown.choice, shown.contexts.seen) == (None, None)
        else:
            assert shown.choice.rule is rule
            seen = shown.contexts.seen
            of_context = [
                seen.values[seen.starts[c] : seen.starts[c + 1]].tolist()
                for c in shown.context_of_N
            ]
            assert of_context == [[0], [0, 1]]


def test_a_list_before_its_own_click_has_seen_all_but_that():
    catalogue = Catalogue(CatalogueConfig(max_items=100))
    histories = Histories(HistoriesConfig(max_users=100), 100)
    builder = ContextBuilder(catalogue, histories, Asked(100, 3, exclude_seen=True, rule=RULE))
    builder.advance(batch_of_events([Click("ann", "a", 1), Click("ann", "b", 2)]))
    early = [Click("ann", "b", 7, request_id="r1"), Click("ann", "a", 8)]
    shown = builder.prepare(batch_of_events([*early, Impression("r1", "ann", ["b"], 9)])).shown
    seen, context = shown.contexts.seen, shown.context_of_N[0]
    assert seen.values[seen.starts[context] : seen.starts[context + 1]].tolist() == [0, 1, 0]


def test_lists_move_no_click_query():
    clicks = [Click("ann", "a", 3), Click("bob", "b", 4), Click("ann", "b", 5)]
    lists = [Impression("r1", "ann", ["a"], 4), Impression("r2", "eve", ["b"], 4)]
    asked = []
    for events in (clicks, [*clicks, *lists]):
        _, builder = builder_of()
        builder.advance(batch_of_events([Click("ann", "a", 1), Click("bob", "b", 2)]))
        queries = builder.prepare(batch_of_events(events))
        asked.append((queries.contexts.history_CT, queries.context_of_B, queries.session_length_B))
    for alone, beside in zip(*asked, strict=True):
        np.testing.assert_array_equal(alone, beside)
