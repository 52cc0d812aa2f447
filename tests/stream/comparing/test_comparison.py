import json

import pytest

from stream.errors import ConfigError, UsageError
from stream.sources.file import FileSource
from tests.runs import RESTLESS, SMALL, run_in, small_config, write_shop
from tests.stream.comparing.comparisons import compared, lone, record_of, without_cost


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return write_shop(tmp_path_factory.mktemp("shop") / "events.jsonl", 350)


def figures(record):
    """The click figures of a champion that follow from its probabilities, and its ranking."""
    return {name: one["total"] for name, one in record["metrics"].items() if "total" in one}


def test_a_configuration_is_as_good_as_itself_to_the_last_bit(shop):
    record = record_of(shop, small_config(), small_config())
    assert record["settings"] == []
    assert set(record["metrics"]) >= {"recall@20", "ndcg@10", "log_loss"}
    for figure in record["metrics"].values():
        assert (figure["a"], figure["difference"]) == (figure["b"], 0.0)
        assert (figure["better"], figure["more_events"]) == (None, None)
    assert all(one["difference"] == 0 for one in record["others"].values())


def test_each_side_comes_to_what_a_replay_of_it_comes_to(shop, tmp_path):
    a = small_config()
    b = small_config(champion="item_knn", shadows=["popularity"])
    comparison, _ = compared(shop, a, b)
    paired = comparison.judge.figures()
    for config, judged, side in zip((a, b), comparison.judged(), ("one", "other"), strict=True):
        source = FileSource(config.source, [str(shop)], config.batch)
        replayed = run_in(tmp_path / side, config, source).metrics()
        assert figures(judged[0]) == figures(replayed)
        recall = replayed["metrics"]["recall@20"]
        assert getattr(paired["recall@20"], side) == pytest.approx(recall["total"])
        assert paired["recall@20"].samples == recall["samples"]["total"]


def test_two_comparisons_find_the_same_but_for_the_cost(shop):
    a, b = small_config(), small_config(learner=SMALL["learner"] | {"replay_ratio": 2})
    records = [json.dumps(without_cost(record_of(shop, a, b))) for _ in range(2)]
    assert records[0] == records[1]


def test_the_sides_can_be_changed_over(tmp_path):
    shop = write_shop(tmp_path / "events.jsonl", 1500)
    a, b = lone("counting"), lone("popularity")
    one, other = record_of(shop, a, b), record_of(shop, b, a)
    for name, figure in one["metrics"].items():
        assert figure["difference"] == -other["metrics"][name]["difference"]
        assert figure["interval"] == pytest.approx(
            [-end for end in reversed(other["metrics"][name]["interval"])]
        )
    assert one["metrics"]["recall@20"]["better"] == "b"
    assert other["metrics"]["recall@20"]["better"] == "a"


def test_a_seed_makes_a_difference_that_seeds_tell_of(shop):
    record = record_of(shop, small_config(), lone("item_knn"), seeds=(3, 4))
    by_seed = [one["difference"] for one in record["metrics"]["recall@20"]["by_seed"]]
    assert len(set(by_seed)) == 2
    assert record["metrics"]["recall@20"]["difference"] == pytest.approx(sum(by_seed) / 2)


def test_rules_that_react_do_so_on_their_side_alone(tmp_path):
    shop = write_shop(tmp_path / "events.jsonl", 1000)
    restless = small_config(alerts=RESTLESS)
    record = record_of(shop, small_config(), restless)
    assert record["metrics"]["recall@20"]["difference"] != 0
    again = record_of(shop, restless, restless)
    assert again["metrics"]["recall@20"]["difference"] == 0


def test_repeats_that_only_one_side_remembers_are_left_out(shop, tmp_path):
    lines = shop.read_text().splitlines()
    clicks = [line for line in lines if '"click"' in line]
    repeated = tmp_path / "repeated.jsonl"
    repeated.write_text("\n".join([*lines, *clicks[-100:]]) + "\n")
    a = lone("item_knn")
    b = lone("item_knn", learner={"history_items": 1})
    record = record_of(repeated, a, b)
    assert 0 < record["unpaired"] <= 100


def test_it_stops_after_the_batch_in_hand_and_keeps_what_it_saw(shop):
    def on_batch(batch, comparison):
        if batch.seq == 9:
            comparison.stop()

    record = record_of(shop, lone("item_knn"), lone("blend"), on_batch=on_batch)
    assert (record["is_stopped"], record["records"]) == (True, 320)
    assert record["metrics"]["recall@20"]["samples"] > 0


def test_the_cost_is_of_each_side_and_leaves_out_what_is_loaded_first(shop):
    record = record_of(shop, lone("item_knn"), small_config())
    a, b = record["cost"]["a"], record["cost"]["b"]
    assert a["events"] == b["events"] == record["events"] - 64
    assert set(a["stage_cpu_s"]) == {"context", "predict", "judge", "learn", "advance"}
    assert 0 < a["learner_cpu_s"] < a["cpu_s"] == pytest.approx(sum(a["stage_cpu_s"].values()))
    assert b["learner_cpu_s"] > 2 * a["learner_cpu_s"]
    assert a["state_bytes"] > 10_000
    assert record["cost"]["peak_process_bytes"] > 10_000_000


def test_settings_that_cannot_be_paired_are_refused_before_anything_is_read(shop):
    with pytest.raises(ConfigError, match=r"batch\.events"):
        compared(shop, small_config(), small_config(batch={"events": 64}))


def test_a_seed_that_comes_twice_is_refused(shop):
    with pytest.raises(UsageError, match="each seed once"):
        compared(shop, small_config(), small_config(), seeds=(1, 1))


def test_a_comparison_that_has_not_begun_has_nothing_to_show(shop):
    events = {"events": 0}

    def on_batch(batch, comparison):
        events["events"] = comparison.n_events
        assert comparison.metrics()["metrics"].keys() <= {
            f"B less A in {name}" for name in comparison.judge.figures()
        }

    small = lone("popularity")
    comparison, _ = compared(shop, small, small, on_batch=on_batch)
    assert comparison.n_events == events["events"] > 0
    assert "B less A in recall@20" in comparison.metrics()["metrics"]
