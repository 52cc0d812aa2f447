import pytest

from stream.reporting.alert_episodes import read_alerts, worst_value
from tests.stream.reporting.rich_run import HOUR_MS, START_MS, alert_records, reaction, transition

RULE = {"rule": "recall_low", "kind": "below", "metric": "recall@20", "over": "events"}


def hours(ts_ms):
    return None if ts_ms is None else (ts_ms - START_MS) / HOUR_MS


def test_transitions_become_stretches_of_time():
    found = [
        (e.rule, hours(e.pending_ms), hours(e.fired_ms), hours(e.ended_ms))
        for e in read_alerts(alert_records()).episodes
    ]
    assert found == [
        ("recall_low", 50, 53, 82),
        ("ctr_drop", 51, 54, 79),
        ("recall_low", 100, None, 102),
        ("ctr_drop", 140, 141, None),
    ]


def test_an_alert_that_fires_at_once_was_pending_since_then():
    [episode] = read_alerts([transition(RULE, "firing", 9, 9, 0.1)]).episodes
    assert (episode.pending_ms, episode.fired_ms, episode.ended_ms) == (9, 9, None)


def test_an_alert_whose_beginning_is_missing_began_where_it_says():
    [episode] = read_alerts([transition(RULE, "firing", 9, 5, 0.1)]).episodes
    assert (episode.pending_ms, episode.fired_ms) == (5, 9)


def test_an_end_without_a_beginning_is_no_episode():
    assert read_alerts([transition(RULE, "resolved", 9, 5, 0.1)]).episodes == []


def test_the_threshold_is_the_one_that_it_fired_at():
    records = [
        transition(RULE | {"threshold": 0.3}, "firing", 9, 5, 0.1),
        transition(RULE | {"threshold": 0.2}, "resolved", 19, 5, 0.4),
    ]
    [episode] = read_alerts(records).episodes
    assert episode.threshold == 0.3
    assert episode.values == [0.1, 0.4]


def test_when_it_was_told_and_what_muted_it_is_known():
    def said(ts_ms, muted_by, state="firing"):
        return transition(RULE, state, ts_ms, 9, 0.1) | {"muted_by": muted_by}

    told_late = [said(9, ["alert:a"]), said(12, []), said(15, ["silence:b"])]
    never = [said(19, ["alert:a"]), said(20, ["alert:a"], "resolved")]
    first, second = read_alerts([*told_late, said(16, [], "resolved"), *never]).episodes
    assert (first.fired_ms, first.told_ms, first.muted_by) == (9, 12, ["alert:a", "silence:b"])
    assert (second.fired_ms, second.told_ms, second.muted_by) == (19, None, ["alert:a"])


@pytest.mark.parametrize(("fires", "state"), [(True, "resolved"), (False, "inactive")])
def test_an_episode_may_end_without_a_figure_because_its_rule_was_withdrawn(fires, state):
    gone = {"threshold": None, "clear": None, "reference": None, "samples": None}
    records = [
        transition(RULE | {"threshold": 0.3}, "pending", 9, 9, 0.1),
        *[transition(RULE | {"threshold": 0.3}, "firing", 14, 9, 0.2)] * fires,
        transition(RULE | gone, state, 19, 9, None) | {"withdrawn": True},
        transition(RULE | {"threshold": 0.2}, "firing", 29, 29, 0.1),
    ]
    withdrawn, afresh = read_alerts(records).episodes
    assert (withdrawn.ended_ms, withdrawn.is_withdrawn) == (19, True)
    assert (withdrawn.threshold, withdrawn.values) == (0.3, [0.1, 0.2][: 1 + fires])
    assert (afresh.pending_ms, afresh.ended_ms, afresh.is_withdrawn) == (29, None, False)


def test_a_reaction_lasts_from_its_begin_to_its_end():
    [reacted] = read_alerts(alert_records()).reactions
    assert (reacted.reaction, hours(reacted.began_ms), hours(reacted.ended_ms)) == ("boost", 53, 82)


def test_what_was_done_at_once_lasts_no_time():
    records = [transition(RULE, "firing", 9, 9, 0.1), reaction("rollback", "done", 9)]
    log = read_alerts(records)
    assert (log.reactions[0].began_ms, log.reactions[0].ended_ms) == (9, 9)
    assert log.episodes[0].reactions == ["rollback"]


def test_a_refusal_is_told_with_its_reason_and_marks_nothing():
    log = read_alerts(
        [transition(RULE, "firing", 9, 9, 0.1), reaction("freeze", "refused", 9, "no")]
    )
    assert log.reactions == []
    assert log.episodes[0].reactions == ["freeze refused: no"]


def test_a_reaction_that_ends_after_its_rule_ends_there():
    records = [
        transition(RULE, "firing", 9, 9, 0.1),
        reaction("boost", "begin", 9),
        transition(RULE, "resolved", 19, 9, 0.4),
        reaction("boost", "end", 29),
    ]
    assert read_alerts(records).reactions[0].ended_ms == 29


@pytest.mark.parametrize("odd", [{}, {"rule": 3, "ts": 1}, {"rule": "a"}, {"rule": "a", "ts": "x"}])
def test_records_of_another_shape_are_passed_by(odd):
    log = read_alerts([odd])
    assert (log.episodes, log.reactions) == ([], [])


def test_the_worst_value_lies_on_the_side_that_the_rule_watches():
    values = [0.2, float("nan"), 0.5]
    assert [worst_value(values, kind) for kind in ("below", "drop", "above")] == [0.2, 0.2, 0.5]
    assert worst_value([], "above") is None
