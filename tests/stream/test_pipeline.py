from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learners.counting import CountingLearner
from learners.panel import Panel
from stream.config import FreshrankConfig
from stream.events import Click, Event, Impression, Item
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from stream.sources.shop import DAY_MS
from stream.values import DeadLetter, Outcomes, Predictions
from tests.conformance.stateful_contract import assert_same_bits
from tests.fakes import CRASH, CrashError, ListSource
from tests.runs import contents, pipeline_in, run_in, small_config, write_shop

LEARNERS = ("transformer", "popularity", "item_knn", "session_knn")
BATCH = 16


def clicks(n_clicks: int, seed: int = 0) -> list[Event]:
    """Clicks with equal times, late arrivals and several clicks of a user in one batch."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, str, int], Event] = {}  # none is a repeat of another
    while len(found) < n_clicks:
        ts = 1_000 * (len(found) // 3 + int(rng.integers(0, 4)))
        key = (f"u{rng.integers(6)}", f"i{rng.integers(30)}", ts)
        found.setdefault(key, Click(*key))
    return list(found.values())


class WatchedPanel:
    """A panel that keeps every prediction, by the click it was made for."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._panel = pipeline.parts.panel
        self._ids = pipeline.parts.tables["catalogue"]
        self.lists: list[dict[str, list[list[str]]]] = []
        self.probabilities: list[list[float]] = []

    def predict(self, queries: object) -> dict[str, Predictions]:
        predictions = self._panel.predict(queries)
        ids = [*self._ids.ids, "-"]
        for found in predictions.values():
            if found.click_probability_S is not None:
                self.probabilities.append(found.click_probability_S.tolist())
        self.lists.append(
            {
                name: [[ids[row] for row in top] for top in found.top_items_BK.tolist()]
                for name, found in predictions.items()
            }
        )
        return predictions

    def learn(self, outcomes: Outcomes) -> None:
        self._panel.learn(outcomes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._panel, name)


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_no_answer_reaches_a_prediction_of_its_batch_or_before(tmp_path, exclude_seen):
    """Rule 1, through the whole loop and every learner.

    Change one click's item: no list of an earlier batch moves, and in its own batch only lists
    of the same user at later times may.
    """
    config = small_config(
        batch={"events": BATCH}, ranking={"exclude_seen": exclude_seen}, threads=1
    )
    stream = clicks(160)
    expected = _lists(tmp_path / "as-it-was", config, stream)
    for changed in (37, 70, 100, 143):
        click = stream[changed]
        other = [*stream]
        other[changed] = Click(
            user=click.user, item="i0" if click.item != "i0" else "i1", ts=click.ts
        )
        found = _lists(tmp_path / f"changed-{changed}", config, other)
        batch = changed // BATCH
        assert found[:batch] == expected[:batch]
        order = sorted(range(batch * BATCH, (batch + 1) * BATCH), key=lambda n: stream[n].ts)
        for place, number in enumerate(order):
            if stream[number].user != click.user or stream[number].ts <= click.ts:
                for name in LEARNERS:
                    assert found[batch][name][place] == expected[batch][name][place]
        assert found[batch + 1 :] != expected[batch + 1 :], "the change is learned later"


@pytest.mark.parametrize("labels", ["wait", "eager"])
@pytest.mark.parametrize("overtakes", [False, True])
def test_no_answer_reaches_the_score_of_its_list(tmp_path, labels, overtakes):
    """Whichever item is clicked, and even if the click comes batches before its list."""
    joiner = {"labels": labels, "match_without_request": "never"}
    config = small_config(batch={"events": BATCH}, joiner=joiner)
    shown = ("i0", "i1", "i2", "i3")
    scored = []
    for clicked in (*shown, "i9"):
        stream = clicks(160)
        stream[8] = Impression("flowing", "u2", list(shown), int(stream[8].ts))
        ts = int(stream[100].ts)
        answer = Click("u1", clicked, ts + 1, request_id="r")
        question = Impression("r", "u1", list(shown), ts)
        first, second = (answer, question) if overtakes else (question, answer)
        stream[60], stream[100] = first, second
        with pipeline_in(tmp_path / clicked, config, ListSource(stream, BATCH)) as (pipeline, _):
            watched = WatchedPanel(pipeline)
            pipeline.parts = replace(pipeline.parts, panel=watched)  # type: ignore[arg-type]
            pipeline.run()
        assert len(watched.probabilities) == 2
        assert pipeline.metrics()["counts"]["joined_clicks"] == int(clicked in shown)
        scored.append(watched.probabilities[-1])
    assert scored == [scored[0]] * len(scored)


def test_one_clock_that_runs_ahead_moves_no_list(tmp_path):
    """A month ahead it would mature all that wait, and refuse all that come for a month."""
    config = small_config(champion="counting", shadows=[])
    lines = write_shop(tmp_path / "events.jsonl", 600).read_bytes().splitlines(keepends=True)
    ahead = b'{"type":"click","user":"u","item":"item-1","ts":%d}\n' % (
        1_704_067_200_000 + 30 * DAY_MS
    )
    counts = []
    for name, held in (("without", lines), ("with", [*lines[:500], ahead, *lines[500:]])):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(held))
        source = FileSource(config.source, [str(tmp_path / f"{name}.jsonl")], config.batch)
        counts.append(run_in(tmp_path / f"run-{name}", config, source).metrics()["counts"])
    assert counts[1]["late_impressions"] == counts[0]["late_impressions"]
    assert abs(counts[1]["matured"] - counts[0]["matured"]) <= 2
    assert abs(counts[1]["joined_clicks"] - counts[0]["joined_clicks"]) <= 2


def _lists(
    out: Path, config: FreshrankConfig, stream: list[Event]
) -> list[dict[str, list[list[str]]]]:
    with pipeline_in(out, config, ListSource(stream, BATCH)) as (pipeline, _):
        watched = WatchedPanel(pipeline)
        Pipeline(replace(pipeline.parts, panel=watched)).run()
    return watched.lists


def test_two_replays_write_the_same_bytes(tmp_path):
    events = write_shop(tmp_path / "events.jsonl", 600)
    config = small_config()
    for name in ("one", "two"):
        source = FileSource(config.source, [str(events)], config.batch)
        run_in(tmp_path / name, config, source)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert list(one) == list(two)
    assert one == two
    assert b"recall@20" in one["metrics.jsonl"]


@pytest.mark.parametrize("crash_at", [1, 100, 317])
def test_a_run_that_crashed_and_was_resumed_equals_one_that_never_did(tmp_path, crash_at):
    stream: list[Event | DeadLetter | type[CRASH]] = [*clicks(400)]
    stream.insert(50, DeadLetter("file:51", "not JSON", b"{"))
    stream.insert(20, Item(item="i3", ts=0, title="a title"))
    config = small_config()
    run_in(tmp_path / "unbroken", config, ListSource(stream, 32))
    stream.insert(crash_at, CRASH)
    source = ListSource(stream, 32)
    with pytest.raises(CrashError):
        run_in(tmp_path / "resumed", config, source)
    stream.remove(CRASH)
    run_in(tmp_path / "resumed", config, ListSource(stream, 32), resume=True)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "unbroken")


def test_a_stopped_run_ends_after_the_batch_in_hand_and_goes_on_from_there(tmp_path):
    stream = clicks(200)
    config = small_config()
    run_in(tmp_path / "unbroken", config, ListSource(stream, 32))

    out = tmp_path / "stopped"
    pipeline = run_in(
        out,
        config,
        ListSource(stream, 32),
        on_batch=lambda batch, done: done.stop() if batch.seq == 2 else None,
    )
    assert pipeline.is_stopped
    assert pipeline.n_events == 96
    run_in(out, config, ListSource(stream, 32), resume=True)
    assert contents(out) == contents(tmp_path / "unbroken")


def test_the_source_hears_of_a_position_only_when_it_is_on_disk(tmp_path):
    source = ListSource(clicks(100), 32)
    run_in(tmp_path, small_config(), source)
    offsets = [position["list"]["offset"] for position in source.acknowledged]
    assert offsets == sorted(offsets)
    assert offsets[-1] == 100


def test_a_stream_with_ten_times_more_items_than_rows_runs_in_flat_memory(tmp_path):
    config = small_config(
        catalogue={"max_items": 40}, histories={"max_users": 20}, session_knn={"max_sessions": 50}
    )
    rng = np.random.default_rng(0)
    stream: list[Event] = [
        Click(user=f"u{n // 9 + rng.integers(3)}", item=f"i{n // 2 + rng.integers(9)}", ts=n)
        for n in range(1_200)
    ]
    sizes = []
    for n_clicks in (600, 1_200):
        out = tmp_path / str(n_clicks)
        pipeline = run_in(out, config, ListSource(stream[:n_clicks], 32))
        assert len(pipeline.parts.tables["catalogue"]) == 40
        newest = max((out / "checkpoints").glob("ckpt-*"))
        sizes.append((newest / "arrays.safetensors").stat().st_size)
    assert len({click.item for click in stream}) >= 400
    assert sizes[1] <= sizes[0] * 1.02


def test_dead_letters_are_kept_and_counted(tmp_path):
    letter = DeadLetter("file:3", "not JSON", b"{\xff")
    pipeline = run_in(tmp_path, small_config(), ListSource([*clicks(40), letter], 32))
    assert pipeline.dead_letter_counts == {"not JSON": 1}
    assert (tmp_path / "dead_letters.jsonl").read_text() == (
        '{"seq":1,"name":"dead_letter-0","origin":"file:3","reason":"not JSON","raw":"{\\\\xff"}\n'
    )


def test_a_loaded_pipeline_has_the_state_that_was_saved(tmp_path):
    config = small_config()
    done = run_in(tmp_path / "one", config, ListSource([*clicks(100), Item(item="i3", ts=0)], 32))
    with pipeline_in(tmp_path / "one", config, ListSource([], 32)) as (pipeline, checkpoints):
        found = checkpoints.latest()
        assert found is not None
        pipeline.load_state_dict(found.state)
        assert_same_bits(pipeline.state_dict(), done.state_dict())
    assert found.state["watermark_ms"] == max(click.ts for click in clicks(100))


def test_each_click_enters_its_users_history_once(tmp_path):
    stream = clicks(90)
    pipeline = run_in(
        tmp_path, small_config(learner={"history_items": 200, "width": 8}), ListSource(stream, 16)
    )
    state = pipeline.parts.tables["histories"].state_dict()
    n_entries = dict(zip(state["table"]["ids"], state["length"].tolist(), strict=True))
    assert n_entries == Counter(click.user for click in stream)


def test_what_is_learned_is_what_was_asked(tmp_path):
    """Lessons come with the contexts of their own queries: nothing moves between the two."""
    stream, seen = clicks(120), []

    class Watcher(CountingLearner):
        def predict(self, queries):
            self.asked = queries.contexts
            return super().predict(queries)

        def learn(self, outcomes):
            seen.append(outcomes.queries.contexts is self.asked)
            known = outcomes.lessons.target_M
            rows = len(pipeline.parts.tables["catalogue"])
            seen.append(bool((known < rows).all()) and rows == outcomes.queries.n_items)

    config = small_config(shadows=[])
    with pipeline_in(tmp_path, config, ListSource(stream, 16)) as (built, _):
        panel = Panel(("transformer", Watcher()), {})
        pipeline = Pipeline(replace(built.parts, panel=panel))
        pipeline.run()
    assert len(seen) == 2 * 8
    assert all(seen)


def test_slices_of_what_requests_carried_hold_their_clicks_and_lists(tmp_path):
    devices = ["tv", "pc", "pc"]
    events: list[Event] = [
        Click(f"u{n}", f"i{n % 5}", 1000 * n, context={"device": devices[n % 3]}) for n in range(60)
    ]
    events += [
        Impression(f"r{n}", f"u{n}", ["i0", "i1"], 60_000, context={"device": devices[n % 3]})
        for n in range(9)
    ]
    events.append(Click("late", "i0", 10_000_000))
    config = small_config(
        champion="popularity", shadows=[], evaluator={"slices": {"context": ["device"]}}
    )
    slices = run_in(tmp_path, config, ListSource(events, BATCH)).metrics()["slices"]
    for device, n_clicks, n_lists in (("tv", 20, 3), ("pc", 40, 6)):
        figures = slices[f"context.device={device}"]
        assert figures["recall@20"]["samples"]["total"] == n_clicks
        assert figures["ctr"]["samples"]["total"] == 2 * n_lists
    assert slices["place=1"]["ctr"]["samples"]["total"] == 9
    assert slices["history=1-4"]["ctr"]["samples"]["total"] == 18
