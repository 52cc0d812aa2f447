import inspect
import json
import re

import pytest

from stream import cli
from stream.commands.simulate import EXAMPLES, count_types, simulate
from stream.sources.simulator import SimulatorConfig


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


SMALL = ["--clicks", "200", "--users", "20", "--items", "30", "--days", "3"]


def test_it_writes_a_shop_and_says_what_and_how_to_go_on(tmp_path, capsys):
    status, printed, err = call(capsys, "simulate", str(tmp_path / "shop"), *SMALL)
    assert (status, err) == (0, "")
    events = tmp_path / "shop" / "events.jsonl.zst"
    n_by_type = count_types(events)
    assert n_by_type["item"] == 30
    n_on_lists, n_lists = n_by_type["click"] - 200, n_by_type["impression"]
    assert min(n_on_lists, n_by_type["conversion"], n_by_type["feedback"], n_by_type["user"]) > 0
    assert (
        f"{n_by_type.total():,} events: 200 clicks, "
        f"{n_lists} lists shown with {n_on_lists} clicks on them, "
        f"{n_by_type['conversion']} conversions, {n_by_type['feedback']} opinions, "
        f"30 items, {n_by_type['user']} profiles\n"
    ) in printed
    assert (tmp_path / "shop" / "truth.jsonl").exists()
    assert printed.splitlines()[-1] == f"try: freshrank replay {events}"


def test_equal_settings_write_equal_files_and_another_seed_others(tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert cli.run(["simulate", str(tmp_path / name), *SMALL, "--seed", seed]) == 0
    a, b, c = ((tmp_path / name / "events.jsonl.zst").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_what_is_there_is_not_written_over(tmp_path, capsys):
    precious = tmp_path / "truth.jsonl"
    precious.write_text("mine")
    status, _, err = call(capsys, "simulate", str(tmp_path), *SMALL)
    assert status == 2
    assert err.startswith(f"error: {precious}: exists already")
    assert precious.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [precious]


def test_any_key_of_the_simulator_can_be_set(tmp_path, capsys):
    status, _, err = call(capsys, "simulate", str(tmp_path / "s"), "--set", "drift_ration=0")
    assert status == 2
    assert "drift_ration: unknown key; did you mean 'drift_ratio'?" in err


def test_without_lists_nothing_is_said_of_them(tmp_path, capsys):
    without = ["--set", "requests_per_session=0"]
    _, printed, _ = call(capsys, "simulate", str(tmp_path / "shop"), *SMALL, *without)
    assert re.search(r"events: 200 clicks, 30 items, \d+ profiles\n", printed)


def test_events_can_be_scheduled_as_the_help_shows(tmp_path):
    [scheduled] = re.findall(r"--set '(events=.+?)'", EXAMPLES)
    out = tmp_path / "shop"
    assert cli.run(["simulate", str(out), *SMALL[:-2], "--set", scheduled]) == 0
    facts = [json.loads(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert [fact["kind"] for fact in facts if fact["type"] == "scheduled"] == [
        "broken_policy",
        "taste_shift",
    ]


def test_an_event_that_cannot_happen_is_status_2(tmp_path, capsys):
    event = "events=[{kind: broken_policy, day: 5}]"
    status, _, err = call(capsys, "simulate", str(tmp_path / "s"), *SMALL, "--set", event)
    assert status == 2
    assert err == (
        "error: --set: events: expected a day below 3, the days in all: "
        "got broken_policy on day 5\n"
    )
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("key", ["seed", "clicks", "users", "items", "days"])
def test_the_help_states_the_default_that_holds(key):
    option = inspect.signature(simulate).parameters[key].annotation.__metadata__[0]
    [stated] = re.findall(r"default: (\d+)", option.help)
    assert int(stated) == getattr(SimulatorConfig(), key)


def test_a_place_that_cannot_be_written_to_is_status_1(capsys):
    status, _, err = call(capsys, "simulate", "/proc/shop", *SMALL)
    assert status == 1
    assert err.startswith("error: /proc/shop: cannot be written: ")
