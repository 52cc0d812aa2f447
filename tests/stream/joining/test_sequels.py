import numpy as np

from stream.events import FEEDBACK_KINDS, Conversion, Feedback
from stream.joining.followups import Followups
from stream.joining.pair_chains import pair_keys
from stream.joining.sequels import join_sequels


def test_sequels_are_counted_under_what_became_of_them_and_conversions_name_their_click():
    followups = Followups(20, 100)
    user_B, item_B, ts_B = np.array([1, 1]), np.array([10, 11]), np.array([5, 6])
    followups.add(user_B, item_B, ts_B, None, np.array([70, -1]))
    events = [
        Conversion("ann", "a", 7, 1.0),
        Conversion("ann", "a", 7, 1.0),
        Conversion("ann", "b", 40),
        Conversion("ann", "c", 7),
        Feedback("ann", "a", 7, "like"),
        Feedback("ann", "c", 8, "rating", 4.0),
        Feedback("ann", "c", 7, "like"),
    ]
    item_K = np.array([10, 10, 11, 12, 10, 12, 12])
    is_shown_K = np.array([False] * 5 + [True, False])
    pair_K = pair_keys(np.ones(len(events), np.int64), item_K)
    joined = join_sequels(events, pair_K, is_shown_K, followups)
    assert joined.counts == {
        "joined_conversions": 1,
        "repeated_conversions": 1,
        "late_conversions": 1,
        "orphan_conversions": 1,
        "feedback_like": 1,
        "feedback_rating": 1,
        "orphan_feedback": 1,
    }
    assert joined.converted == [70, -1, -1, -1]
    opinions = joined.opinions
    assert opinions.ts_N.tolist() == [7, 8]
    assert [FEEDBACK_KINDS[kind] for kind in opinions.kind_N] == ["like", "rating"]
    np.testing.assert_array_equal(opinions.value_N, [np.nan, 4.0])
