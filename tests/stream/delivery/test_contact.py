from stream.delivery.contact import Contact


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def contact_of():
    clock, told = Clock(), []
    return Contact("pager", told.append, incident_s=60.0, clock_s=clock), clock, told


def test_a_short_trouble_is_logged_and_no_incident(caplog):
    contact, clock, told = contact_of()
    caplog.set_level("INFO")
    contact.lost("answered 503")
    clock.now_s = 59.0
    contact.lost("answered 503")
    contact.reached()
    assert told == []
    assert [record.message for record in caplog.records] == [
        "pager takes no alerts; they wait on disk: answered 503",
        "pager takes alerts again, after 59.0 s",
    ]


def test_a_long_trouble_is_one_incident_and_its_end():
    contact, clock, told = contact_of()
    for now_s in (0.0, 60.0, 120.0):
        clock.now_s = now_s
        contact.lost("connection refused")
    contact.reached()
    assert [(one.kind, one.name, one.is_resolved) for one in told] == [
        ("delivery", "pager", False),
        ("delivery", "pager", True),
    ]
    assert "since 60 s: connection refused" in told[0].text


def test_what_does_not_pass_by_itself_is_an_incident_at_once():
    contact, _, told = contact_of()
    contact.lost("answered 401 Unauthorized", is_for_good=True)
    assert len(told) == 1


def test_the_problem_is_known_while_it_lasts():
    contact, _, _ = contact_of()
    before = contact.problem
    contact.lost("no whole answer within 10 s")
    during = contact.problem
    contact.reached()
    assert (before, during, contact.problem) == (None, "no whole answer within 10 s", None)
