import json
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.reproducing.naming import notice_named


def told(seq: int, rule: str, state: str) -> dict:
    return {"seq": seq, "name": f"alert:{rule}:{state}", "rule": rule, "state": state}


TOLD = [
    told(3, "low", "pending"),
    told(5, "low", "firing"),
    told(5, "high", "firing"),
    {"seq": 5, "name": "reaction:boost:begin:low", "reaction": "boost", "rule": "low"},
    told(8, "low", "resolved"),
    told(11, "low", "firing"),
]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run's folder, as it lies there while the run goes on."""
    lines = [json.dumps(one) + "\n" for one in TOLD]
    (tmp_path / "alerts.000000.jsonl").write_text("".join(lines[:3]))
    (tmp_path / "alerts.jsonl").write_text("".join(lines[3:]) + '{"seq": 1')
    return tmp_path


@pytest.mark.parametrize(
    ("named", "index"),
    [
        ("low", 5),
        ("low@1", 1),
        ("low@2", 5),
        ("low@-1", 5),
        ("low@-2", 1),
        ("high", 2),
        ("3", 0),
        ("8", 4),
        ("5:alert:high:firing", 2),
        (json.dumps(TOLD[4]), 4),
        (f"  {json.dumps(TOLD[4], indent=1)}", 4),
    ],
)
def test_a_notice_is_found_by(out, named, index):
    assert notice_named(out, named) == TOLD[index]


@pytest.mark.parametrize("named", ["low@3", "low@0", "low@-3", "other", "7", "5:alert:low:pending"])
def test_one_that_is_not_there_is_refused_with_those_that_are(out, named):
    with pytest.raises(UsageError, match=rf"holds no notice {named}; .* 11:alert:low:firing$"):
        notice_named(out, named)


def test_a_batch_with_several_is_refused_with_their_ids(out):
    several = "5:alert:low:firing, 5:alert:high:firing"
    with pytest.raises(UsageError, match=rf"batch 5 has several notices; name one: {several}"):
        notice_named(out, "5")


def test_a_run_without_a_firing_notice_says_so(tmp_path):
    with pytest.raises(UsageError, match="no rule has fired so far"):
        notice_named(tmp_path, "low")


@pytest.mark.parametrize("named", ["Low!", "5:", "low@", ""])
def test_what_is_no_name_is_refused_with_examples(out, named):
    with pytest.raises(UsageError, match=r"such as 412,.*recall_low@2"):
        notice_named(out, named)


def test_a_line_that_is_cut_is_refused(out):
    with pytest.raises(UsageError, match="the notice is no JSON object"):
        notice_named(out, '{"seq": 4')
