from dataclasses import replace

from stream.reporting.dead_letters import MAX_SAMPLES, Sample, dead_letter_reasons
from stream.sinks.outputs import Outputs
from stream.values import DeadLetter
from tests.batches import batch_of
from tests.fakes_sinks import ListSink


def letter(reason, raw="{}", origin="a.jsonl:1"):
    return {"origin": origin, "reason": reason, "raw": raw}


def test_samples_find_the_kind_of_reason_that_they_have():
    counts = {"expected … at $.ts": 9, "unknown type …": 40}
    letters = [letter("unknown type 'x'", "1"), letter("expected 3.5 at $.ts", "2")]
    found = dead_letter_reasons(counts, letters)
    assert [(r.text, r.count, [s.raw for s in r.samples]) for r in found] == [
        ("unknown type …", 40, ["1"]),
        ("expected … at $.ts", 9, ["2"]),
    ]


def test_only_the_first_samples_are_kept():
    letters = [letter("bad", str(n)) for n in range(20)]
    [reason] = dead_letter_reasons({"bad": 20}, letters)
    assert [sample.raw for sample in reason.samples] == [str(n) for n in range(MAX_SAMPLES)]


def test_letters_are_counted_where_the_run_did_not():
    letters = [letter("bad"), letter("worse"), letter("worse")]
    found = dead_letter_reasons(None, letters)
    assert [(reason.text, reason.count) for reason in found] == [("worse", 2), ("bad", 1)]


def test_a_letter_of_no_counted_reason_is_passed_by():
    [reason] = dead_letter_reasons({"bad": 1}, [letter("worse")])
    assert reason.samples == []


def test_a_reason_with_signs_of_patterns_is_taken_as_it_is():
    [reason] = dead_letter_reasons({"a (b) [c]* …": 1}, [letter("a (b) [c]* 7")])
    assert reason.samples == [Sample("a.jsonl:1", "{}")]


def test_the_counts_that_a_run_makes_are_understood():
    sinks = [ListSink([]) for _ in range(3)]
    outputs = Outputs(*sinks)
    reasons = ["unknown type 'clik'", "far future: ts 4102444800001", "unknown type '0x7f'"]
    buried = tuple(DeadLetter("f:1", reason, b"raw") for reason in reasons)
    outputs.write(replace(batch_of([]), dead_letters=buried), [])
    outputs.flush()
    found = dead_letter_reasons(outputs.dead_letter_counts, sinks[2].durable)
    assert [(reason.count, len(reason.samples)) for reason in found] == [(2, 2), (1, 1)]
