import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.catalogue import Catalogue, CatalogueConfig
from stream.contexts import Asked, ContextBuilder
from stream.events import FEEDBACK_KINDS, Click, Conversion, Event, Feedback, Impression
from stream.histories import Histories, HistoriesConfig
from stream.id_hash import hash64
from stream.joiner import COUNTS, Joiner, JoinerConfig
from stream.values import Batch, Changes, Outcomes
from tests.batches import batch_of, batch_of_events, cut
from tests.conformance.stateful_contract import StatefulContract
from tests.stream.joining.desk import (
    CONFIG,
    GAUGES,
    ROW_OF,
    Desk,
    click,
    counted,
    histories_of,
    matured,
    predicted,
    shown,
    taught,
    tick,
)
from tests.stream.joining.plain_joiner import PlainJoiner
from tests.stream_values import make_changes


class Loop:
    """The tables and the joiner, without learners."""

    def __init__(self, max_items: int = 100, exclude_seen: bool = False, min_count: int = 1):
        self.catalogue = Catalogue(CatalogueConfig(max_items=max_items, min_count=min_count))
        self.histories = Histories(HistoriesConfig(), 5)
        self.contexts = ContextBuilder(self.catalogue, self.histories, Asked(5, 3, exclude_seen))
        self.joiner = Joiner(self.catalogue, self.histories)

    def step(self, arrived: Batch) -> Outcomes:
        batch = self.contexts.without_repeats(self.joiner.gather(arrived))
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


def test_a_click_on_an_item_that_stays_unknown_is_given_up_and_counted():
    loop = Loop(min_count=3)
    loop.step(batch_of([("ann", "a", 1)]))
    assert len(loop.step(batch_of([("ann", "a", 2)])).lessons) == 0
    outcomes = loop.step(batch_of([]))
    assert len(outcomes.lessons) == 0
    assert counted(outcomes) == {"organic_clicks": 2, "unlearned_clicks": 2}


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


def test_with_seen_items_excluded_a_newcomer_is_a_sample_once_a_batch():
    loop = Loop(exclude_seen=True)
    outcomes = loop.step(
        batch_of([("ann", "n", 1), ("bob", "n", 2), ("ann", "n", 2), ("ann", "n", 3)])
    )
    assert outcomes.is_sample_B.tolist() == [True, True, False, False]


USERS = st.sampled_from(["ann", "bob"])
SHOWN_ITEMS = st.lists(st.sampled_from(list(ROW_OF)), min_size=1, max_size=4, unique=True)
REQUESTS = st.sampled_from([f"r{n}" for n in range(12)])
DELAYS = st.sampled_from([0, 0, 0, 1, 2, 5, 12, 30])
KINDS = ["click", "click", "impression", "impression", "conversion", "feedback"]


@st.composite
def streams(draw: st.DrawFn) -> list[list[Event]]:
    """Batches of events, each as late as its partition; now and then none at all."""
    clock, batches = 0, []
    for _ in range(draw(st.integers(1, 8))):
        batch: list[Event] = []
        for _ in range(draw(st.integers(0, 10))):
            clock += draw(st.integers(0, 3))
            ts, user = max(clock - draw(DELAYS), 0), draw(USERS)
            item, request = draw(st.sampled_from(list(ROW_OF))), draw(REQUESTS)
            named = request if draw(st.booleans()) else None
            kind = draw(st.sampled_from(KINDS))
            if kind == "impression":
                batch.append(Impression(request, user, draw(SHOWN_ITEMS), ts, policy=request))
            elif kind == "click":
                batch.append(Click(user, item, ts, named))
            elif kind == "conversion":
                batch.append(
                    Conversion(user, item, ts, draw(st.sampled_from([None, 2.0])), None, named)
                )
            else:
                batch.append(Feedback(user, item, ts, draw(st.sampled_from(["like", "hide"]))))
        batches.append(batch)
    return batches


@given(
    batches=streams(),
    max_pending=st.sampled_from([1, 2, 4, 100]),
    resume_at=st.integers(0, 8),
    clears_often=st.booleans(),
)
def test_the_join_equals_one_written_down_plainly(batches, max_pending, resume_at, clears_often):
    config = CONFIG.model_copy(update={"max_pending": max_pending})
    desk, plain = Desk(config), PlainJoiner(config)
    with pytest.MonkeyPatch.context() as patch:
        if clears_often:
            patch.setattr("stream.joining.waiting._MIN_GONE", 0)
            patch.setattr("stream.joining.impressions._MIN_GONE_ITEMS", 0)
        for seq, events in enumerate(batches):
            if seq == resume_at:
                desk.resume()
            outcomes, expected = desk.step(*events), plain.step(events)
            assert desk.released == [
                (click.user, click.item, click.ts, click.request_id) for click in expected.clicks
            ]
            assert len(desk.batch.dead_letters) == expected.n_refused
            assert matured(outcomes) == expected.matured
            conversions = outcomes.conversions
            assert expected.conversions == list(
                zip(
                    conversions.ts_N.tolist(),
                    conversions.is_converted_N.tolist(),
                    conversions.value_N.tolist(),
                    strict=True,
                )
            )
            assert dict.fromkeys([*COUNTS, *GAUGES], 0) | expected.counts == outcomes.join_counts
            assert taught(outcomes, is_converted=False) == expected.presumed
            assert taught(outcomes, is_converted=True) == expected.converted
            assert predicted(outcomes) == expected.predicted


EAGER = CONFIG.model_copy(update={"labels": "eager"})


def test_a_list_matures_when_its_window_has_passed_and_not_before():
    desk = Desk()
    outcomes = desk.step(shown("r", 5), click("b", 7, "r"))
    assert matured(outcomes) == []
    assert matured(desk.step(tick(14))) == []
    assert matured(desk.step(tick(15))) == [(15, "r", [False, True, False])]
    assert matured(desk.step(tick(99))) == []


def test_a_list_matures_with_the_batch_that_holds_its_last_click():
    desk = Desk()
    desk.step(shown("r", 5))
    assert matured(desk.step(click("a", 15, "r"), tick(40))) == [(15, "r", [True, False, False])]


def test_lists_mature_by_time_and_then_by_arrival():
    desk = Desk()
    desk.step(shown("first", 8, "a"), shown("last", 9, "a"))
    desk.step(shown("second", 8, "a"), shown("late", 3, "a"))
    outcomes = desk.step(tick(30))
    assert [name for _, name, _ in matured(outcomes)] == ["late", "first", "second", "last"]
    assert outcomes.matured.ts_N.tolist() == [13, 18, 18, 19]


def test_a_click_without_a_request_is_made_on_the_latest_list_that_shows_the_item():
    desk = Desk()
    desk.step(shown("old", 1, "ab"), shown("bobs", 3, "ab", "bob"), shown("new", 3, "bc"))
    desk.step(click("a", 4), click("b", 4), click("b", 2))
    answers = {name: answer for _, name, answer in matured(desk.step(tick(50)))}
    assert answers == {"old": [True, True], "bobs": [False, False], "new": [True, False]}


def test_a_click_without_a_request_is_organic_where_clicks_on_lists_name_theirs():
    for matching, answer in (("never", False), ("auto", False), ("always", True)):
        desk = Desk(CONFIG.model_copy(update={"match_without_request": matching}))
        desk.step(shown("r", 1, "ab"), click("a", 4), click("b", 4, "r"))
        assert matured(desk.step(tick(50))) == [(11, "r", [answer, True])]


def test_as_long_as_no_click_names_a_request_any_may_be_on_a_list():
    desk = Desk(CONFIG.model_copy(update={"match_without_request": "auto"}))
    desk.step(shown("r", 1, "ab"), click("a", 4))
    desk.resume()
    desk.step(shown("q", 5, "ab"), click("b", 6, "q"))
    desk.step(click("b", 7))
    desk.resume()
    outcomes = desk.step(click("a", 7), tick(50))
    assert matured(outcomes) == [(11, "r", [True, False]), (15, "q", [False, True])]


def test_a_list_whose_answer_was_learned_already_is_refused_as_late():
    """A click that named nothing has moved the weights: the list's score would know it."""
    desk = Desk()
    desk.step(click("a", 10), shown("other", 2, "f", user="bob"))
    desk.step(shown("before", 9, "ab"), shown("after", 11, "ab"), shown("not", 9, "bc"))
    outcomes = desk.step(tick(50))
    assert [name for _, name, _ in matured(outcomes)] == ["other", "not", "after"]
    assert counted(outcomes)["late_impressions"] == 1


def test_conversions_are_told_from_the_first_one_on():
    """No record of any is no record that there was none."""
    desk = Desk()
    desk.step(shown("r", 1, "ab"), click("a", 4))
    assert len(desk.step(tick(5_000)).conversions) == 0
    desk.step(click("b", 5_001), Conversion("ann", "i1", 5_002, 3.0))
    told = desk.step(tick(9_999)).conversions
    assert (told.is_converted_N.tolist(), told.value_N.tolist()) == ([False, True], [0.0, 3.0])


def test_a_click_without_a_request_is_made_on_a_list_of_its_own_batch_but_on_none_after():
    desk = Desk()
    outcomes = desk.step(click("a", 4), click("b", 4), shown("same", 4, "a"))
    assert counted(outcomes)["joined_clicks"] == 1
    outcomes = desk.step(shown("next", 3, "c"))
    assert counted(outcomes)["organic_clicks"] == 1
    assert [answer for *_, answer in matured(desk.step(tick(50)))] == [[False], [True]]


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        (click("a", 15, "r"), "joined_clicks"),
        (click("a", 4, "r"), "joined_clicks"),
        (click("b", 7, "r"), "repeated_clicks"),
        (click("a", 16, "r"), "late_clicks"),
        (click("f", 7, "r"), "clicks_not_shown"),
        (click("a", 7, "r", "bob"), "orphan_clicks"),
        (click("f", 7), "organic_clicks"),
        (click("a", 16), "organic_clicks"),
        (click("b", 8), "repeated_clicks"),
    ],
)
def test_a_click_is_counted_under_what_became_of_it(late, verdict):
    desk = Desk()
    before = desk.step(shown("r", 5), click("b", 6, "r")).join_counts
    after = desk.step(late).join_counts
    clicks = {name for name in after if "click" in name and after[name] > before[name]}
    assert clicks - {"clicks_before_impression"} == {verdict}
    assert ("clicks_before_impression" in clicks) == (late.ts < 5)


def test_a_click_on_a_list_that_has_matured_is_late():
    desk = Desk()
    desk.step(shown("r", 5))
    desk.step(tick(15))
    assert counted(desk.step(click("a", 9, "r")))["late_clicks"] == 1


def test_all_clicks_stay_queries_and_lessons():
    desk = Desk()
    outcomes = desk.step(shown("r", 5), click("a", 6, "r"), click("f", 6, "r"), click("b", 6))
    assert outcomes.answer_B.tolist() == outcomes.lessons.target_M.tolist() == [0, 5, 1]


def test_too_many_lists_mature_early_the_oldest_first():
    desk = Desk(CONFIG.model_copy(update={"max_pending": 2}))
    outcomes = desk.step(shown("b", 4), shown("a", 3), shown("d", 6), shown("c", 4))
    assert matured(outcomes) == [(6, "b", [False] * 3), (6, "a", [False] * 3)][::-1]
    assert counted(outcomes)["matured_early"] == 2
    assert counted(outcomes)["pending_impressions"] == 2
    assert counted(desk.step(click("a", 6, "a")))["late_clicks"] == 1


def test_too_many_shown_items_mature_early():
    desk = Desk(CONFIG.model_copy(update={"max_pending": 3}))
    everything = "".join(chr(ord("a") + n) for n in range(49))
    outcomes = desk.step(shown("old", 3, everything), shown("new", 4, everything))
    assert [name for _, name, _ in matured(outcomes)] == ["old"]


def test_what_every_learner_told_is_kept_until_the_list_matures():
    desk = Desk(learners=["model", "other", "silent"])
    desk.step(shown("r0", 5, "ab"), told=["model", "other"])
    desk.step(shown("r1", 6, "c"), told=["model"])
    told = desk.step(tick(40), told=[]).matured.probability_of
    assert list(told) == ["model", "other"]
    assert told["model"].tolist() == [1 / 10_000, 2 / 10_000, 1 / 11_000]
    np.testing.assert_array_equal(told["other"], [1 / 10_000, 2 / 10_000, np.nan])


def test_lists_are_learned_when_they_are_mature_in_the_context_that_was_scored():
    desk = Desk()
    assert desk.step(shown("r", 5), click("b", 6), contexts=[[4, 5]]).shown_lessons == ()
    (lessons,) = desk.step(tick(40)).shown_lessons
    assert not lessons.is_presumed
    assert lessons.is_clicked_S.tolist() == [False, True, False]
    assert histories_of(lessons.shown.contexts) == [[4, 5]]
    assert lessons.shown.item_S.tolist() == [0, 1, 2]
    assert lessons.shown.position_S.tolist() == [1, 2, 3]
    assert lessons.shown.starts.tolist() == [0, 3]


def test_rows_that_were_recycled_since_a_list_was_scored_are_not_learned():
    desk = Desk()
    recycled = make_changes(len(ROW_OF), recycled=[1, 4])
    desk.step(shown("r0", 5), contexts=[[4, 5, 1]], follow=recycled)
    desk.step(shown("r1", 6, "bc"), contexts=[[4, 5]])
    (lessons,) = desk.step(tick(40)).shown_lessons
    assert histories_of(lessons.shown.contexts) == [[5], [4, 5]]
    assert lessons.shown.item_S.tolist() == [0, -1, 2, 1, 2]


def test_a_click_is_told_by_its_item_and_not_by_a_row_that_was_another_items():
    loop = Loop(max_items=2)
    loop.step(batch_of([("ann", "a", 1), ("ann", "b", 2)]))
    listed = [Impression("r", "ann", ["a", "b"], 3), Click("ann", "b", 4)]
    loop.step(batch_of_events(listed, 1, 2))
    loop.step(batch_of_events([Click("ann", "c", 5)], 2, 4))  # takes the row of a
    outcomes = loop.step(batch_of_events([Click("ann", "c", 6, "r")], 3, 5))
    assert outcomes.answer_B.tolist() == [0]
    assert outcomes.join_counts["clicks_not_shown"] == 1


def test_eager_lists_are_learned_at_once_and_their_clicks_when_they_come():
    desk = Desk(EAGER)
    (at_once,) = desk.step(shown("r", 5), click("b", 6, "r"), contexts=[[4, 5]]).shown_lessons
    assert at_once.is_presumed
    assert at_once.is_clicked_S.tolist() == [False, True, False]
    assert histories_of(at_once.shown.contexts) == [[4, 5]]
    late = desk.step(click("c", 8, "r"), click("b", 8, "r"), click("a", 9), shown("q", 9, "f"))
    listed, corrected = late.shown_lessons
    assert listed.shown.item_S.tolist() == [5]
    assert not corrected.is_presumed
    assert corrected.is_clicked_S.tolist() == [True, True]
    assert corrected.shown.item_S.tolist() == [2, 0]
    assert corrected.shown.position_S.tolist() == [3, 1]
    assert corrected.shown.starts.tolist() == [0, 1, 2]
    assert histories_of(corrected.shown.contexts) == [[4, 5], [4, 5]]


def test_eager_lists_are_judged_when_they_are_mature_and_not_learned_again():
    desk = Desk(EAGER)
    assert matured(desk.step(shown("r", 5))) == []
    outcomes = desk.step(tick(40))
    assert matured(outcomes) == [(15, "r", [False, False, False])]
    assert outcomes.shown_lessons == ()


@given(clicked_at=st.integers(100, 160_000), waits=st.integers(0, 90_000))
def test_a_click_that_comes_before_its_list_changes_nothing_in_the_lists_score(clicked_at, waits):
    """It is held until the list is scored without it, or else the list is not scored at all."""

    def contexts_of_list(*overtaking: Click) -> list[list[int]]:
        loop, watermark, outcomes = Loop(), 0, None
        for seq, events in enumerate(
            [
                [shown("other", 90), Click("ann", "a", 50), Click("ann", "b", 60)],
                [*overtaking, tick(100)],
                [tick(clicked_at + waits)],
                [shown("r", clicked_at + 7)],
            ]
        ):
            batch = batch_of_events(events, seq, watermark)
            watermark, outcomes = batch.watermark_ms, loop.step(batch)
        lists = outcomes.queries.shown
        if lists is None:
            return []
        histories = histories_of(lists.contexts)
        return [histories[context] for context in lists.context_of_N.tolist()]

    undisturbed = contexts_of_list()
    assert [len(history) for history in undisturbed] == [2]
    is_let_through = waits >= JoinerConfig().early_wait
    assert contexts_of_list(Click("ann", "c", clicked_at, "r")) == (
        [] if is_let_through else undisturbed
    )


def test_lists_conversions_and_held_clicks_of_a_forgotten_user_vanish():
    desk = Desk()
    desk.step(
        shown("anns", 5), shown("bobs", 5, user="bob"), click("a", 6, "anns"), click("a", 6, "x"),
        follow=make_changes(len(ROW_OF), forgotten=[hash64("ann")]),
    )  # fmt: skip
    outcomes = desk.step(Conversion("ann", "i0", 7), shown("x", 7, user="bob"))
    assert counted(outcomes)["orphan_conversions"] == 1
    assert counted(outcomes).get("held_clicks", 0) == 0
    assert desk.released == []
    outcomes = desk.step(tick(50))
    assert [name for _, name, _ in matured(outcomes)] == ["bobs", "x"]
    assert len(outcomes.conversions) == 0


def test_without_lists_and_what_follows_clicks_nothing_is_remembered():
    desk = Desk()
    outcomes = desk.step(click("a", 3), click("b", 4, "r"))
    assert counted(outcomes) == {"organic_clicks": 1, "orphan_clicks": 1}
    assert counted(desk.step(Conversion("ann", "i0", 5)))["orphan_conversions"] == 1
    desk.step(click("a", 6))
    assert counted(desk.step(Conversion("ann", "i0", 7)))["joined_conversions"] == 1


def test_feedback_follows_a_click_or_a_list_that_waits():
    desk = Desk()
    desk.step(shown("r", 5, "a"), click("f", 5))
    outcomes = desk.step(
        Feedback("ann", "i0", 6, "hide"),
        Feedback("ann", "i5", 6, "rating", 4.0),
        Feedback("ann", "i5", 4, "like"),
        Feedback("bob", "i0", 6, "like"),
    )
    counts = {n: count for n, count in counted(outcomes).items() if "feedback" in n}
    assert counts == {"feedback_hide": 1, "feedback_rating": 1, "orphan_feedback": 2}
    opinions = outcomes.opinions
    kinds = [FEEDBACK_KINDS[kind] for kind in opinions.kind_N.tolist()]
    assert (opinions.ts_N.tolist(), kinds) == ([6, 6], ["hide", "rating"])
    assert np.isnan(opinions.value_N[0])
    assert opinions.value_N[1] == 4.0


def test_matured_arrays_are_not_written_to_afterwards():
    desk = Desk(EAGER)
    first = desk.step(shown("r", 5), shown("q", 5))
    kept = copy.deepcopy(first.shown_lessons[0].is_clicked_S)
    desk.step(click("a", 6, "r"))
    assert first.shown_lessons[0].is_clicked_S.tolist() == kept.tolist()


def telling(**settings: object) -> Desk:
    """A joiner that has seen a list and a conversion: it tells of conversions from now on."""
    desk = Desk(CONFIG.model_copy(update=settings))
    desk.step(shown("first", 1, "f"), click("f", 1, "first"), Conversion("ann", "i5", 2))
    return desk


def test_a_click_on_no_list_is_taught_at_once_and_once_more_when_it_converts():
    desk = telling()
    first = desk.step(click("a", 5), click("b", 5))
    assert (taught(first, False), taught(first, True)) == ([("i0", 0), ("i1", 0)], [])
    second = desk.step(Conversion("ann", "i1", 7), Conversion("ann", "i1", 8))
    assert (taught(second, False), taught(second, True)) == ([], [("i1", 0)])
    assert taught(desk.step(Conversion("ann", "i1", 9)), True) == []


def test_a_click_on_a_list_is_taught_when_it_converts_in_the_context_that_was_scored():
    desk = telling()
    desk.step(shown("r", 5, "abc"), contexts=[[4, 5]])
    assert desk.step(click("b", 6, "r")).conversion_lessons == ()
    (lessons,) = desk.step(Conversion("ann", "i1", 7)).conversion_lessons
    assert lessons.is_converted
    assert histories_of(lessons.shown.contexts) == [[4, 5]]
    assert (lessons.shown.item_S.tolist(), lessons.shown.position_S.tolist()) == ([1], [2])


@pytest.mark.parametrize("labels", ["wait", "eager"])
def test_a_list_says_whether_conversions_of_its_clicks_are_told(labels):
    desk = Desk(CONFIG.model_copy(update={"labels": labels}))
    untold = desk.step(shown("r", 5, "ab"), click("a", 5, "r"), tick(30)).shown_lessons
    assert [lessons.tells_conversions for lessons in untold] == [False]
    desk.step(click("a", 31), Conversion("ann", "i0", 32))
    told = desk.step(shown("q", 33, "ab"), tick(50)).shown_lessons
    assert [lessons.tells_conversions for lessons in told] == [True]


def test_clicks_that_correct_a_list_say_that_they_repeat_it():
    desk = Desk(EAGER)
    (first,) = desk.step(shown("r", 5)).shown_lessons
    (again,) = desk.step(click("a", 6, "r")).shown_lessons
    assert (first.is_repeated, again.is_repeated) == (False, True)


def test_an_item_clicked_twice_on_its_list_is_judged_once_and_converts_by_either_click():
    desk = telling()
    desk.step(shown("r", 5, "ab"))
    desk.step(click("b", 6, "r"), click("b", 9, "r"))
    assert taught(desk.step(Conversion("ann", "i1", 10)), True) == [("i1", 2)]
    assert predicted(desk.step(tick(26))) == [(26, True, pytest.approx(2 / 21_000))]
    assert predicted(desk.step(tick(99))) == []


def test_a_click_is_judged_when_its_window_has_passed_and_not_before():
    desk = telling()
    desk.step(shown("r", 5, "ab"), click("a", 6, "r"), click("f", 6))
    assert predicted(desk.step(tick(25))) == []
    assert predicted(desk.step(tick(40))) == [(26, False, pytest.approx(1 / 21_000))]


def test_of_too_many_clicks_the_oldest_are_judged_early_and_counted():
    desk = telling(max_pending=2)
    outcomes = desk.step(shown("r", 5, "abc"), *(click(one, 6, "r") for one in "abc"))
    assert predicted(outcomes) == [(6, False, pytest.approx(1 / 21_000))]
    assert counted(outcomes)["conversions_matured_early"] == 2  # the first click of all, too
    outcomes = desk.step(Conversion("ann", "i0", 7), Conversion("ann", "i1", 7))
    assert taught(outcomes, True) == [("i1", 2)]
    assert counted(outcomes)["orphan_conversions"] == 1


def test_rows_that_were_recycled_since_a_click_was_scored_are_not_learned():
    desk = telling()
    recycled = make_changes(len(ROW_OF), recycled=[1, 3, 4])
    desk.step(shown("r", 5, "abc"), contexts=[[4, 5, 1]])
    desk.step(click("a", 6, "r"), click("b", 6, "r"), click("d", 7), follow=recycled)
    events = [Conversion("ann", f"i{n}", ts) for n, ts in ((1, 6), (0, 8), (3, 8))]
    (lessons,) = desk.step(*events).conversion_lessons
    assert lessons.shown.item_S.tolist() == [-1, 0, -1]
    assert lessons.shown.position_S.tolist() == [2, 1, 0]
    assert histories_of(lessons.shown.contexts) == [[5], [5], []]


def test_clicks_of_a_forgotten_user_neither_convert_nor_are_judged():
    desk = telling()
    forgotten = make_changes(len(ROW_OF), forgotten=[hash64("ann")])
    desk.step(
        shown("anns", 5, "ab"), shown("bobs", 5, "ab", user="bob"),
        click("a", 6, "anns"), click("a", 6, "bobs", user="bob"), follow=forgotten,
    )  # fmt: skip
    outcomes = desk.step(Conversion("ann", "i0", 7), Conversion("bob", "i0", 7))
    assert taught(outcomes, True) == [("i0", 1)]
    assert predicted(desk.step(tick(60))) == [(26, True, pytest.approx(3 / 21_000))]


def test_where_no_list_was_shown_clicks_are_not_kept_as_they_were_scored():
    desk = Desk()
    desk.step(click("a", 1), Conversion("ann", "i0", 2))
    outcomes = desk.step(click("b", 3), Conversion("ann", "i1", 4))
    assert outcomes.conversion_lessons == ()
    assert len(desk.joiner.state_dict()["scored"]["waiting"]["lists"]["texts"]["request"]) == 0


@pytest.mark.parametrize("key", ["attribution_window", "conversion_window", "early_wait"])
def test_a_wait_is_longer_than_nothing(key):
    with pytest.raises(ValidationError, match="greater than 0"):
        JoinerConfig(**{key: "0s"})


def test_a_state_is_taken_over_with_other_learners():
    desk = Desk(learners=["model", "gone"])
    desk.step(shown("r", 5, "ab"), told=["model", "gone"])
    desk.learners = ["new", "model"]
    desk.resume()
    told = desk.step(tick(40), told=[]).matured.probability_of
    assert {name: values.tolist() for name, values in told.items()} == {
        "model": [1 / 10_000, 2 / 10_000]
    }


class TestJoinerState(StatefulContract):
    make = staticmethod(lambda: Desk(learners=["model", "other"]).joiner)

    @staticmethod
    def drive(obj: Joiner, step: int) -> object:
        """Everything that a joiner may hold, at once; the time goes on with the steps."""
        desk = Desk(learners=["model", "other"])
        desk.joiner, desk.seq, desk.watermark = obj, step, 6 * step - 3
        ts = 6 * step
        desk.catalogue.admit([], [])
        outcomes = desk.step(
            shown(f"r{step}", ts),
            shown(f"r{step}", ts + 1),
            click("a", ts + 1, f"r{step - 1}"),
            click("b", ts + 1),
            click("c", ts + 2, f"r{step + 1}"),
            Click("bob", f"new{step}", ts + 2),
            Conversion("ann", "i0", ts + 3, 1.5),
            contexts=[[step % 5, 5]],
            follow=make_changes(len(ROW_OF), recycled=[step % 3]),
        )
        return (
            outcomes.matured,
            outcomes.conversions,
            outcomes.conversion_lessons,
            outcomes.predicted_conversions,
            outcomes.shown_lessons,
            outcomes.join_counts,
            outcomes.lessons,
            desk.released,
        )


def test_a_list_matures_with_its_places_and_who_asked():
    desk = Desk()
    told = {"device": "tv"}
    seen = Impression("q", "bob", ["i0", "i1"], 6, context=told)
    desk.step(shown("r", 5, "abc"), seen, contexts=[[1, 2], []])
    desk.resume()
    lists = desk.step(tick(40)).matured
    assert lists.position_S.tolist() == [1, 2, 3, 1, 2]
    assert lists.history_N.tolist() == [2, 0]
    assert lists.context_N == [None, told]


def test_of_refused_lists_nothing_that_their_requests_carried_is_left():
    desk = Desk()
    told = {"device": "tv"}
    desk.step(shown("r", 5), Impression("r", "bob", ["i0"], 6, context=told), shown("q", 6))
    assert desk.batch.impressions.context_N == [None, None]
    assert desk.step(tick(40)).matured.context_N is None


def test_outcomes_say_who_clicked_who_was_shown_lists_and_what_requests_carried():
    desk = Desk()
    outcomes = desk.step(
        shown("r", 5, user="eve"), Click("ann", "i0", 6, context={"device": "tv"}), click("b", 7)
    )
    assert outcomes.user_B.tolist() == [hash64("ann"), hash64("ann")]
    assert outcomes.looking_N.tolist() == [hash64("eve")]
    assert outcomes.context_B == [{"device": "tv"}, None]
