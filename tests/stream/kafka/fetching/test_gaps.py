import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import GapError
from stream.kafka.fetching.gaps import Gap, Gaps, n_offsets
from stream.kafka.fetching.positions import Stretch


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (Gap("clicks/2", "retention", 10, 40, 30), ["clicks[2]", "30 records", "10", "40"]),
        (
            Gap("clicks/2", "recreated", 10, 0, 5, True),
            ["clicks[2]", "at least 5", "created again"],
        ),
        (Gap("clicks/2", "shortened", 90, 60, 0, True), ["clicks[2]", "90", "60", "shortened"]),
    ],
)
def test_a_gap_ends_the_run_with_what_to_do(gap, words):
    reported = []
    with pytest.raises(GapError) as caught:
        Gaps(False, reported.append).met(gap)
    for word in [*words, "source.kafka.on_gap: earliest"]:
        assert word in str(caught.value)
    assert reported == []


def test_a_gap_that_may_be_passed_is_reported():
    reported = []
    Gaps(True, reported.append).met(Gap("clicks/2", "retention", 10, 40, 30))
    assert [(one.kind, one.name, one.severity) for one in reported] == [("gap", "clicks/2", "page")]
    assert reported[0].details == {
        "cause": "retention",
        "from_offset": 10,
        "to_offset": 40,
        "lost_records": 30,
        "is_lower_bound": False,
    }


@given(
    cuts=st.lists(st.integers(0, 60), min_size=1, max_size=7, unique=True).map(sorted),
    start=st.integers(0, 60),
    stop=st.integers(0, 80),
)
def test_only_offsets_that_were_to_be_read_are_lost(cuts, start, stop):
    if len(cuts) % 2 == 0:
        cuts = cuts[:-1]
    pairs = zip(cuts[:-1:2], cuts[1::2], strict=True)
    ahead = (*(Stretch("a", *pair) for pair in pairs), Stretch("a", cuts[-1]))
    to_read = {n for s in ahead for n in range(s.start, 80 if s.stop is None else s.stop)}
    expected = len(to_read & set(range(start, stop)))
    assert n_offsets(ahead, start, stop, "a") == expected
    assert n_offsets(ahead, start, stop, "b") == 0
