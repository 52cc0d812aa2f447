from stream.delivery.transitions import Wanted, of_incident, of_notice
from tests.transitions import incident_record, notice_record, transition


def test_the_id_of_a_transition_depends_on_run_batch_and_name_alone():
    record = notice_record("low", "firing", 4)
    told = of_notice(record, "r1", 1)
    assert told.id == of_notice(record | {"value": 0.7}, "r1", 2).id
    others = [
        of_notice(record, "r2", 1),
        of_notice(notice_record("low", "firing", 5), "r1", 1),
        of_notice(notice_record("low", "resolved", 4), "r1", 1),
    ]
    assert len({told.id, *(other.id for other in others)}) == 4


def test_the_key_is_the_same_from_firing_to_resolved():
    assert transition("low", "firing", 4).key == transition("low", "resolved", 9).key


def test_labels_annotations_and_runbook_of_a_rule_are_told():
    told = transition(
        "low", "firing", 4, labels={"team": "search"}, runbook="https://wiki/low",
        annotations={"dashboard": "https://grafana/low"}, description="recall fell",
    )  # fmt: skip
    assert told.labels == {"team": "search", "alertname": "low", "severity": "page"}
    assert told.annotations["runbook_url"] == "https://wiki/low"
    assert told.annotations["dashboard"] == "https://grafana/low"
    assert told.annotations["description"] == "recall fell"
    assert told.annotations["summary"].startswith("alert low is firing (page): recall@20")


def test_a_rule_cannot_take_the_name_of_another_by_a_label():
    assert transition("low", "firing", 4, labels={"alertname": "x"}).labels["alertname"] == "low"


def test_a_record_without_labels_is_told_as_well():
    told = transition("low", "firing", 4, labels=None, annotations=None)
    assert told.labels == {"alertname": "low", "severity": "page"}


def test_a_reaction_is_no_transition():
    record = {"seq": 4, "name": "reaction:low:boost", "reaction": "boost", "action": "done"}
    assert of_notice(record, "r1", 1) is None


def test_what_is_muted_says_so():
    assert transition("low", "firing", 4, muted_by="upstream").is_muted
    assert not transition("low", "firing", 4, muted_by=None).is_muted
    assert not transition("low", "firing", 4, muted_by=[]).is_muted


def test_an_incident_and_its_end_have_one_key_and_two_ids():
    begun = of_incident(incident_record("silent", "no_events", "firing", 1), "r1")
    ended = of_incident(incident_record("silent", "no_events", "resolved", 2), "r1")
    assert begun.key == ended.key
    assert begun.id != ended.id
    assert begun.labels == {"alertname": "silent", "name": "no_events", "severity": "page"}


def test_what_nobody_tells_the_end_of_is_an_event_of_its_own():
    first = of_incident(incident_record("gap", "clicks/0", "firing", 1), "r1")
    second = of_incident(incident_record("gap", "clicks/0", "firing", 2), "r1")
    assert first.is_event
    assert first.key != second.key


def test_who_wants_pages_alone_hears_of_nothing_else():
    wanted = Wanted(("firing", "resolved"), ("page",))
    told = [transition("low", "firing", 1, severity=name) for name in ("page", "warning", "info")]
    assert [wanted(one, None) for one in told] == [True, False, False]


def test_who_was_told_that_it_fires_is_not_told_again_when_it_is_muted_no_longer():
    wanted = Wanted(("firing", "resolved"), ("page",))
    told = transition("low", "firing", 2, change="unmuted", muted_by=[])
    assert (wanted(told, None), wanted(told, "firing")) == (True, False)


def test_an_end_is_told_to_whom_the_beginning_was():
    wanted = Wanted(("pending", "firing", "resolved", "inactive"), ("page",))
    resolved, inactive = transition("low", "resolved", 2), transition("low", "inactive", 2)
    befores = (None, "pending", "firing", "resolved")
    assert [wanted(resolved, before) for before in befores] == [False, False, True, False]
    assert [wanted(inactive, before) for before in befores] == [False, True, False, False]
