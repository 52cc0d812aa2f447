"""Random lists of a small shop: what popularity would have been clicked, through the whole loop."""

import numpy as np
import pytest

from stream.decoding import EventDecoder
from stream.sources.simulator import SimulatorConfig, simulate
from stream.values import DeadLetter, Record
from tests.fakes import ListSource
from tests.runs import pipeline_in, small_config

N_SHOPS = 12
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What the evaluator made of each shop, whose lists are all random and whose items stay."""
    config = small_config(
        champion="popularity",
        shadows=[],
        batch={"events": 64},
        joiner={"match_without_request": "never"},
        evaluator={"off_policy": {"temperature": 1.0, "max_weight": 1_000.0}},
    )
    found = []
    for seed in range(N_SHOPS):
        shop = SimulatorConfig(
            seed=seed,
            clicks=400,
            users=40,
            items=40,
            categories=4,
            days=2,
            list_items=3,
            exploration_ratio=1.0,
            launched_ratio=0.0,
            retired_ratio=0.0,
        )
        records = [{**record} for record in simulate(shop).events()]
        end_ms = records[-1]["ts"] + HOUR_MS
        records.append({"type": "click", "user": "late", "item": "item-0", "ts": end_ms})
        events = EventDecoder().decode_rows(records, lambda i, why: DeadLetter(str(i), why, b""))
        source = ListSource(events, batch_events=64)
        with pipeline_in(tmp_path_factory.mktemp("shop"), config, source) as (pipeline, _):
            pipeline.run()
            found.append(pipeline.metrics())
    return found


def test_weights_are_1_on_average_so_that_both_policies_are_what_they_say(judged):
    means = [record["metrics"]["mean_weight"]["total"] for record in judged]
    assert np.mean(means) == pytest.approx(1.0, abs=3 * np.std(means) / np.sqrt(N_SHOPS))
    assert np.std(means) < 0.2


def test_popularity_would_have_been_clicked_more_than_random_lists_were(judged):
    lows = [record["metrics"]["snips_ctr"]["total"] for record in judged]
    ctrs = [record["metrics"]["ctr"]["total"] for record in judged]
    assert np.mean(lows) > 1.2 * np.mean(ctrs)


def test_every_item_is_judged_but_those_shown_before_anything_was_clicked(judged):
    for record in judged:
        samples = record["metrics"]["ips_ctr"]["samples"]["total"]
        left_out = record["counts"].get("without_choice", 0)
        assert samples + left_out == record["counts"]["shown_items_matured"]
        assert 0 < left_out < 300
