"""Events become columns: every one once, by time, ties as they came."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import to_columns
from stream.events import Click, Conversion, Forget, Impression, Item

IDS = st.sampled_from(["a", "b", "c", "d"])
TIMES = st.integers(0, 50)
OPTIONAL = st.none() | IDS
EVENTS = st.one_of(
    st.builds(Click, IDS, IDS, TIMES, OPTIONAL, OPTIONAL),
    st.builds(Impression, IDS, IDS, st.lists(IDS, min_size=1, unique=True), TIMES, policy=OPTIONAL),
    st.builds(Conversion, IDS, IDS, TIMES),
    st.builds(Item, IDS, TIMES),
    st.builds(Forget, IDS, TIMES),
)


@given(st.lists(EVENTS, max_size=20))
def test_columns_hold_every_event_once_in_stable_order_of_time(events):
    clicks, impressions, others = to_columns(events, [f"f:{i}" for i in range(len(events))])
    numbered = sorted(enumerate(events), key=lambda pair: pair[1].ts)
    clicked = [(i, event) for i, event in numbered if isinstance(event, Click)]
    shown = [(i, event) for i, event in numbered if isinstance(event, Impression)]
    kinds = (Click, Impression)
    assert others == tuple(event for _, event in numbered if not isinstance(event, kinds))
    assert clicks.user_B == [click.user for _, click in clicked]
    assert clicks.item_B == [click.item for _, click in clicked]
    assert clicks.ts_B.tolist() == [click.ts for _, click in clicked]
    assert (clicks.session_B or [None] * len(clicked)) == [c.session for _, c in clicked]
    assert (clicks.request_B or [None] * len(clicked)) == [c.request_id for _, c in clicked]
    assert clicks.origin_B == [f"f:{i}" for i, _ in clicked]
    assert impressions.request_N == [event.request_id for _, event in shown]
    assert impressions.user_N == [event.user for _, event in shown]
    assert impressions.ts_N.tolist() == [event.ts for _, event in shown]
    assert impressions.policy_N == [event.policy for _, event in shown]
    assert [
        impressions.item_S[impressions.starts[n] : impressions.starts[n + 1]]
        for n in range(len(impressions))
    ] == [event.items for _, event in shown]


def test_a_column_of_names_is_there_only_where_one_is_named():
    clicks = to_columns([Click("u", "a", 1)])[0]
    assert clicks.session_B is None
    assert clicks.request_B is None
    named = to_columns([Click("u", "a", 1, request_id="r"), Click("u", "a", 2, session="s")])[0]
    assert named.session_B == [None, "s"]
    assert named.request_B == ["r", None]


def test_what_requests_carried_is_there_only_where_one_carried_something():
    bare = to_columns([Click("u", "a", 1), Impression("r", "u", ["a"], 1)])
    assert (bare[0].context_B, bare[1].context_N) == (None, None)
    told = to_columns(
        [
            Click("u", "a", 2, context={"n": 2}),
            Click("u", "a", 1),
            Impression("r", "u", ["a"], 2, context={"n": 3}),
            Impression("q", "u", ["a"], 1),
        ]
    )
    assert (told[0].context_B, told[1].context_N) == ([None, {"n": 2}], [None, {"n": 3}])


def test_propensities_stand_beside_their_items_and_are_missing_where_none_were_logged():
    events = [
        Impression("r1", "u", ["a", "b"], 1),
        Impression("r2", "u", ["c", "d"], 2, propensities=[0.5, 0.25]),
    ]
    impressions = to_columns(events)[1]
    np.testing.assert_array_equal(impressions.propensity_S, [np.nan, np.nan, 0.5, 0.25])


def test_what_other_policies_would_have_shown_stands_beside_the_items_of_the_lists_that_say_it():
    events = [
        Impression("r1", "u", ["a"], 1),
        Impression("r2", "u", ["c", "d"], 2, targets={"new": [0.5, 0.0]}),
    ]
    given_of = to_columns(events)[1].given_of
    assert list(given_of) == ["new"]
    np.testing.assert_array_equal(given_of["new"], [np.nan, 0.5, 0.0])


def test_what_requests_carried_goes_with_its_event():
    told = {"device": "tv"}
    clicks, impressions, _ = to_columns(
        [Click("ann", "a", 2), Click("bob", "b", 1, context=told), Impression("r", "ann", ["a"], 3)]
    )
    assert clicks.context_B == [told, None]
    assert impressions.context_N is None
