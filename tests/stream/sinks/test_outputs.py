from dataclasses import replace

from stream.notices import Notice
from stream.sinks.outputs import Outputs
from stream.values import DeadLetter, Record
from tests.batches import batch_of
from tests.fakes_sinks import ListSink


def outputs_of() -> Outputs:
    return Outputs(ListSink([]), ListSink([]), ListSink([]))


def bury(outputs: Outputs, *reasons: str) -> None:
    letters = tuple(DeadLetter(f"f:{n}", reason, b"x") for n, reason in enumerate(reasons))
    outputs.write(replace(batch_of([]), dead_letters=letters), [])


def test_transitions_and_reactions_go_where_alerts_go():
    kept: list[Record] = []
    outputs = Outputs(ListSink([]), ListSink(kept), ListSink([]))
    notice = Notice("a", "firing", 5, 3, {"seq": 0, "name": "alert:a:firing"})
    outputs.write(batch_of([]), [], [notice], [{"seq": 0, "name": "reaction:boost:begin:a"}])
    outputs.flush()
    assert [record["name"] for record in kept] == ["alert:a:firing", "reaction:boost:begin:a"]


def test_reasons_are_counted_without_the_values_in_them():
    outputs = outputs_of()
    bury(
        outputs,
        *[f"far future: ts {n} is ahead" for n in range(200)],
        "not 'a' number",
        "not 'b' number",
    )
    assert outputs.dead_letter_counts == {"far future: ts … is ahead": 200, "not … number": 2}


def test_the_kinds_of_reason_are_bounded():
    outputs = outputs_of()
    bury(outputs, *["reason " + "x" * n for n in range(300)])
    counts = outputs.dead_letter_counts
    assert len(counts) == 101
    assert counts["other"] == 200


class ListTeller:
    def __init__(self):
        self.told = []
        self.n_flushed = 0

    def write(self, record):
        self.told.append(record["name"])

    def flush(self):
        self.n_flushed = len(self.told)


def test_a_teller_is_handed_notices_and_no_reactions_and_flushed_with_the_files():
    outputs, teller = outputs_of(), ListTeller()
    outputs.tell(teller)
    notice = Notice("a", "firing", 5, 3, {"seq": 0, "name": "alert:a:firing"})
    outputs.write(batch_of([]), [], [notice], [{"seq": 0, "name": "reaction:boost:begin:a"}])
    before = teller.n_flushed
    outputs.flush()
    assert (teller.told, before, teller.n_flushed) == (["alert:a:firing"], 0, 1)


def test_a_teller_is_no_part_of_the_state():
    outputs, silent = outputs_of(), outputs_of()
    outputs.tell(ListTeller())
    assert outputs.state_dict() == silent.state_dict()
