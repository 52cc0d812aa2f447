"""Who asks, through the whole loop: no answer in it, the same bits, nothing lost by bad input."""

import logging
import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stream.config import FreshrankConfig
from stream.events import Click, Event, Impression, Item, User
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from stream.sources.simulator import SimulatorConfig, simulate
from tests.fakes import CRASH, CrashError, ListSource
from tests.runs import contents, pipeline_in, run_in, small_config

BATCH = 16
INPUTS = {
    "context": {"device": "category", "load": "number"},
    "clock": ["day"],
    "profile": {"words": 4, "values": 4, "attributes": {"age": "number"}},
    "token_buckets": 256,
}


class Watched:
    """A panel that keeps the ranking of every click, and the probabilities of every list."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._panel = pipeline.parts.panel
        self._ids = pipeline.parts.tables["catalogue"]
        self.lists: list[list[list[str]]] = []
        self.probabilities: list[list[float]] = []

    def predict(self, queries: object) -> object:
        predictions = self._panel.predict(queries)  # type: ignore[arg-type]
        [first, *_] = predictions.values()
        ids = [*self._ids.ids, "-"]  # type: ignore[attr-defined]
        self.lists.append([[ids[row] for row in top] for top in first.top_items_BK.tolist()])
        if first.click_probability_S is not None:
            self.probabilities.append(first.click_probability_S.tolist())
        return predictions

    def __getattr__(self, name: str) -> object:
        return getattr(self._panel, name)


def config_of(**changes: object) -> FreshrankConfig:
    return small_config(batch={"events": BATCH}, inputs=INPUTS, shadows=[], **changes)


def watched(out: Path, config: FreshrankConfig, stream: list[Event]) -> Watched:
    with pipeline_in(out, config, ListSource(stream, BATCH)) as (pipeline, _):
        panel = Watched(pipeline)
        Pipeline(replace(pipeline.parts, panel=panel)).run()  # type: ignore[arg-type]
    return panel


def events(n_clicks: int, seed: int = 0) -> list[Event]:
    """Clicks that carry something, of users who say something now and then."""
    rng = np.random.default_rng(seed)
    found: list[Event] = []
    for n in range(n_clicks):
        user, ts = f"u{rng.integers(9)}", 1_000 * n
        if n % 7 == 3:
            told = {"city": f"c{rng.integers(3)}", "age": float(rng.integers(20, 60))}
            found.append(User(user, ts, f"likes w{rng.integers(5)}", told))
        context = {"device": f"d{rng.integers(3)}", "load": float(rng.normal())}
        found.append(Click(user, f"i{rng.integers(20)}", ts + 1, context=context))
    return found


def test_no_answer_reaches_a_prediction_of_its_batch_or_before(tmp_path):
    """Change one click's item: in its batch only later clicks of the same user may move."""
    stream = events(130)
    expected = watched(tmp_path / "as-it-was", config_of(), stream).lists
    for start in (37, 71, 100):
        changed = next(n for n in range(start, 140) if isinstance(stream[n], Click))
        click = stream[changed]
        assert isinstance(click, Click)
        other = [*stream]
        item = "i0" if click.item != "i0" else "i1"
        other[changed] = Click(click.user, item, click.ts, context=click.context)
        found = watched(tmp_path / f"changed-{changed}", config_of(), other).lists
        batch = changed // BATCH
        assert found[:batch] == expected[:batch]
        part = [e for e in stream[batch * BATCH : (batch + 1) * BATCH] if isinstance(e, Click)]
        for place, one in enumerate(part):
            if one.user != click.user or one.ts <= click.ts:
                assert found[batch][place] == expected[batch][place]
        assert found[batch + 1 :] != expected[batch + 1 :], "the change is learned later"


def test_what_a_request_carries_moves_its_own_prediction_and_no_other_of_its_batch(tmp_path):
    """So does a profile: only the clicks of its user, and only later ones."""
    stream = events(140)
    expected = watched(tmp_path / "as-it-was", config_of(), stream).lists
    batch = 8
    for kind in (Click, User):
        first = batch * BATCH
        changed = next(n for n in range(first, first + BATCH) if isinstance(stream[n], kind))
        one, other = stream[changed], [*stream]
        other[changed] = (
            Click(one.user, one.item, one.ts, context={"device": "d2", "load": 9.0})
            if isinstance(one, Click)
            else User(one.user, one.ts, "hates w0 w1")  # type: ignore[union-attr]
        )
        found = watched(tmp_path / f"changed-{kind.__name__}", config_of(), other).lists
        assert found[:batch] == expected[:batch]
        part = [e for e in stream[first : first + BATCH] if isinstance(e, Click)]
        for place, asked in enumerate(part):
            is_own = asked is one or (kind is User and asked.user == one.user)  # type: ignore[union-attr]
            if not is_own or asked.ts < one.ts:
                assert found[batch][place] == expected[batch][place]


def test_a_list_is_scored_by_who_asks_and_not_by_its_answer(tmp_path):
    shown = ["i0", "i1", "i2", "i3"]
    scored = {}
    for device in ("d0", "d1"):
        for clicked in shown:
            stream = events(160)
            ts = int(stream[140].ts)
            context = {"device": device}
            stream[60] = Impression("r0", "u2", shown, int(stream[60].ts), context=context)
            stream[61] = Click("u2", "i1", int(stream[60].ts) + 1, "r0", context=context)
            stream[140] = Impression("r", "u1", shown, ts, context=context)
            stream[141] = Click("u1", clicked, ts + 1, "r", context=context)
            config = config_of(joiner={"labels": "eager", "match_without_request": "never"})
            found = watched(tmp_path / f"{device}-{clicked}", config, stream)
            scored.setdefault(device, []).append(found.probabilities[-1])
    for of_device in scored.values():
        assert of_device == [of_device[0]] * len(shown)
    assert scored["d0"][0] != scored["d1"][0]


def test_users_without_a_click_are_served_by_what_they_say(tmp_path):
    """Tea drinkers click teapots. A newcomer says so in the very batch of the first click."""
    rng = np.random.default_rng(0)
    stream: list[Event] = [
        Item(f"{kind}{n}", 0, kind) for kind in ("teapot", "racket") for n in range(6)
    ]
    for n in range(700):
        drinks = bool(rng.integers(2))
        stream.append(User(f"u{n}", 10 * n, "tea please" if drinks else "tennis please"))
        item = f"{'teapot' if drinks else 'racket'}{rng.integers(6)}"
        stream.append(Click(f"u{n}", item, 10 * n + 5))
    config = small_config(
        inputs={"profile": {"words": 2}}, shadows=[], ranking={"ks": [6]}, champion="blend"
    )
    found = watched(tmp_path / "told", config, stream).lists
    asked = [top for batch in found for top in batch]
    clicks = [event for event in stream if isinstance(event, Click)]
    hits = [click.item in top[:6] for click, top in zip(clicks, asked, strict=True)]
    assert sum(hits[-100:]) > 90
    config = config.model_copy(update={"inputs": FreshrankConfig().inputs})
    found = watched(tmp_path / "untold", config, stream).lists
    asked = [top for batch in found for top in batch]
    hits = [click.item in top[:6] for click, top in zip(clicks, asked, strict=True)]
    assert sum(hits[-100:]) < 75


def write_rich_shop(path: Path, n_clicks: int) -> Path:
    config = SimulatorConfig(
        clicks=n_clicks,
        users=60,
        items=80,
        categories=4,
        days=4,
        late_ratio=0.1,
        device_shift=0.3,
        attributes=True,
    )
    lines = (msgspec.json.encode(event) for event in simulate(config).events())
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.mark.parametrize("crash_at", [5, 300, 700])
def test_a_run_that_crashed_and_was_resumed_equals_one_that_never_did(tmp_path, crash_at):
    events_file = write_rich_shop(tmp_path / "events.jsonl", 500)
    config = small_config(
        inputs=INPUTS,
        champion="blend",
        shadows=["transformer"],
        joiner={"labels": "eager"},
        histories={"max_users": 40},
    )
    source = FileSource(config.source, [str(events_file)], config.batch)
    run_in(tmp_path / "unbroken", config, source)
    run_in(tmp_path / "again", config, source)
    assert contents(tmp_path / "unbroken") == contents(tmp_path / "again")

    batches = [*source.batches(None)]
    broken = ListSource([*batches[: crash_at // 32], CRASH, *batches[crash_at // 32 :]])
    run_in(tmp_path / "whole", config, ListSource(batches))
    with pytest.raises(CrashError):
        run_in(tmp_path / "broken", config, broken)
    run_in(tmp_path / "broken", config, broken, resume=True)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_what_cannot_be_used_loses_no_click_and_is_told(tmp_path, caplog):
    rubbish: list[object] = [
        {"device": {"deep": [1]}, "load": "high"},
        {"load": math.inf, "device": "x" * 10_000},
        {"load": 1e300},
        {"load": True, "device": ["a", "b"]},
        {"device": None},
        {},
        None,
    ]
    stream: list[Event] = [
        Click(f"u{n % 5}", f"i{n % 11}", n, context=rubbish[n % len(rubbish)])  # type: ignore[arg-type]
        for n in range(140)
    ]
    stream += [
        User("u1", 200, "word " * 20_000, {"age": "old", "city": "y" * 10_000}),
        User("u2", 200, "", {"age": math.nan, "deep": {"a": 1}}),
        User("u3", 200, None, {}),
        *(Click(f"u{n % 5}", f"i{n % 11}", 300 + n, context={"load": 1.0}) for n in range(40)),
    ]
    with caplog.at_level(logging.WARNING, "freshrank.inputs"):
        pipeline = run_in(tmp_path / "run", config_of(), ListSource(stream, BATCH))
    assert pipeline.metrics()["counts"]["clicks"] == 180
    assert pipeline.dead_letter_counts == {}
    assert pipeline.metrics()["counts"]["skipped_steps"] == 0
    a_number = "for the 1. time: expected a finite number within ±1e+15, got"
    for told in (
        f"context.load is not used, {a_number} str 'high'",
        "context.device is not used, for the 1. time: expected a text or a number, got dict",
        f"profile.age is not used, {a_number} str 'old'",
    ):
        assert told in caplog.text
    assert len(caplog.text) < 10_000


def test_without_declarations_whatever_requests_and_users_say_changes_no_bit(tmp_path):
    plain = [event for event in events(150) if isinstance(event, Click)]
    bare = [Click(click.user, click.item, click.ts) for click in plain]
    said = [replace_by_profile(click, n) for n, click in enumerate(plain)]
    config = small_config(shadows=[])
    for name, stream in (("said", plain), ("bare", bare)):
        run_in(tmp_path / name, config, ListSource(list(stream), BATCH))
    assert contents(tmp_path / "said") == contents(tmp_path / "bare")
    with_profiles = watched(tmp_path / "profiles", config, [e for pair in said for e in pair])
    assert sum(map(len, with_profiles.lists)) == 150


def replace_by_profile(click: Click, n: int) -> list[Event]:
    return [User(click.user, click.ts, f"w{n}"), click]
