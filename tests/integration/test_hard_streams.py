"""Streams that are hard on the learners: nothing crashes, nothing is lost without being counted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stream.config import FreshrankConfig
from stream.errors import ConfigError
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from stream.values import Changes, Outcomes, Record
from tests.learners.tiny_encoders import write_tiny_encoder
from tests.runs import SMALL, default_config, pipeline_in

LEARNERS = ["blend", "transformer", "popularity", "item_knn", "session_knn"]
RECALL = "recall@20"


class Hearer:
    """Counts what everyone is taught."""

    def __init__(self) -> None:
        self.n_lessons = 0

    def learn(self, outcomes: Outcomes) -> None:
        self.n_lessons += len(outcomes.lessons)

    def follow(self, changes: Changes) -> None: ...


@dataclass(frozen=True)
class Ended:
    """A run that took all of its records."""

    pipeline: Pipeline
    record: Record
    n_letters: int

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.record["counts"]
        return counts

    def recalls(self) -> dict[str, float]:
        judged = {"blend": self.record["metrics"], **self.record["shadows"]}
        return {name: figures[RECALL]["total"] for name, figures in judged.items()}


def run(folder: Path, config: FreshrankConfig, lines: Sequence[dict[str, object] | bytes]) -> Ended:
    """Run the records, and look for each of them."""
    written = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    (folder / "events.jsonl").write_bytes(b"\n".join(written) + b"\n")
    source = FileSource(config.source, [str(folder / "events.jsonl")], config.batch)
    hearer = Hearer()
    with pipeline_in(folder / "run", config, source) as (pipeline, _):
        pipeline.parts.panel.attend(hearer)
        pipeline.run()
        assert pipeline.parts.panel.names == tuple(LEARNERS)
    letters = (folder / "run" / "dead_letters.jsonl").read_bytes().splitlines()
    ended = Ended(pipeline, pipeline.metrics(), len(letters))
    _account_for(ended, len(lines), [one for one in lines if isinstance(one, dict)])
    waiting = pipeline.state_dict()["joiner"]["deferral"]["item"]
    n_heard = hearer.n_lessons + ended.counts["unlearned_clicks"] + len(waiting)
    assert n_heard == ended.counts["clicks"], (
        "each click is learned, waits, or is told as unlearned"
    )
    return ended


def _account_for(ended: Ended, n_records: int, written: Sequence[dict[str, object]]) -> None:
    counts, letters = ended.counts, ended.pipeline.dead_letter_counts
    n_others = sum(one.get("type") != "click" for one in written)
    assert ended.pipeline.n_records == n_records
    assert sum(letters.values()) == ended.n_letters
    assert counts["clicks"] + n_others + ended.n_letters == n_records
    assert counts["samples"] + counts["repeated_seen"] == counts["clicks"]
    assert ended.pipeline.n_events == n_records - ended.n_letters
    if counts["clicks"]:
        assert counts["steps"] > 0
    assert counts["skipped_steps"] == 0


def click(user: str, item: str, ts: int) -> dict[str, object]:
    return {"type": "click", "user": user, "item": item, "ts": ts}


def draws(n: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 50, n).tolist()


@pytest.mark.parametrize("n_clicks", [10_000, pytest.param(100_000, marks=pytest.mark.acceptance)])
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_one_user_with_all_the_clicks(tmp_path, n_clicks, exclude_seen):
    config = default_config(
        batch={"events": 1_024},
        ranking={"exclude_seen": exclude_seen},
        learner=SMALL["learner"] | {"minibatch": 1_024, "history_items": 4},
        session_knn={"max_sessions": 200, "sample_sessions": 50, "neighbours": 20},
        blend={"candidates": 20},
    )
    stream = [click("u", f"i{item}", n) for n, item in enumerate(draws(n_clicks))]
    ended = run(tmp_path, config, stream)
    assert ended.counts["samples"] == (50 if exclude_seen else n_clicks)
    assert len(ended.pipeline.parts.tables["histories"]) == 1
    sessions = ended.pipeline.state_dict()["panel"]["learners"]["blend"]["parts"]["session_knn"]
    assert len(sessions["sessions"]["n_clicks"]) == 200
    if not exclude_seen:
        assert set(ended.recalls()) == set(LEARNERS)
        # Twenty of fifty, at random.
        assert all(0.3 < recall < 0.5 for recall in ended.recalls().values())


def test_one_item_in_99_of_100_clicks(tmp_path):
    stream = [
        click(f"u{user}", "hit" if n % 100 else f"i{n // 100}", n)
        for n, user in enumerate(draws(2_500))
    ]
    ended = run(tmp_path, default_config(batch={"events": 64}), stream)
    assert ended.counts["samples"] == 2_500
    recalls = ended.recalls()
    assert min(recalls["blend"], recalls["transformer"], recalls["popularity"]) > 0.95
    assert all(0.9 < recall <= 0.99 for recall in recalls.values()), recalls


def test_batches_of_one(tmp_path):
    stream = [click(f"u{n % 5}", f"i{item}", n) for n, item in enumerate(draws(100))]
    ended = run(tmp_path, default_config(batch={"events": 1}), stream)
    assert ended.counts["samples"] == 100
    assert ended.pipeline.next_seq == 100
    assert ended.recalls()["blend"] > 0.2


def test_users_who_are_all_new(tmp_path):
    stream = [click(f"u{n}", f"i{item % 30}", n) for n, item in enumerate(draws(1_500))]
    ended = run(tmp_path, default_config(histories={"max_users": 40}), stream)
    assert ended.counts["samples"] == 1_500
    assert len(ended.pipeline.parts.tables["histories"]) == 40
    recalls = ended.recalls()
    assert min(recalls["blend"], recalls["transformer"], recalls["popularity"]) > 0.5
    assert (recalls["item_knn"], recalls["session_knn"]) == (0.0, 0.0)  # nobody has a history


def test_items_that_are_all_new(tmp_path):
    stream = [click(f"u{user}", f"i{n}", n) for n, user in enumerate(draws(1_500))]
    ended = run(tmp_path, default_config(catalogue={"max_items": 40}), stream)
    assert ended.counts["not_admitted"] == ended.counts["samples"] == 1_500
    assert ended.counts["unlearned_clicks"] == 0
    assert set(ended.recalls().values()) == {0.0}


def test_users_and_items_that_are_all_new_and_known_by_their_texts_alone(tmp_path):
    stream: list[dict[str, object] | bytes] = []
    for n in range(600):
        stream.append({"type": "item", "item": f"i{n}", "title": f"kind{n % 3}", "ts": n})
        stream.append(click(f"u{n}", f"i{n}", n))
    caps = {"catalogue": {"max_items": 40}, "histories": {"max_users": 40}}
    ended = run(tmp_path, default_config(**caps), stream)
    assert ended.counts["samples"] == 600
    assert len(ended.pipeline.parts.tables["catalogue"]) == 40


def test_ids_of_emoji_and_of_10_kb(tmp_path):
    families = ["👨‍👩‍👧‍👦" * n for n in range(1, 6)]  # the longest is 35 characters, 125 bytes
    odd = ["\u0000", " ", "\n", "é", "e\u0301", "ﷺ", "\u202e", "0", "-1", "null", "i" * 1_024]
    stream: list[dict[str, object] | bytes] = [
        click(families[n % 5], odd[item % len(odd)], n) for n, item in enumerate(draws(400))
    ]
    long = [click("u" * 10_240, "0", 400), click("u", "😀" * 2_560, 400)]
    half = b'{"type": "click", "user": "\\ud83d", "item": "0", "ts": 401}'
    ended = run(tmp_path, default_config(), [*stream, *long, half])
    assert ended.n_letters == 3
    assert ended.counts["samples"] == 400
    assert len(ended.pipeline.parts.tables["catalogue"]) == len(odd)
    assert ended.recalls()["blend"] > 0.8
    assert sorted(ended.pipeline.parts.tables["catalogue"].ids) == sorted(odd)


TEXTS = ["", " \n", "\u0000", "🎈", "word " * 30_000, "w" * 100_000, None]
ATTRIBUTES = [{}, {"": ""}, {"a": []}, {"a": None, "b": {"c": 1}}, {"x": 5e-324, "y": -1e308}]


@pytest.mark.parametrize("is_encoded", [False, True])
def test_texts_that_are_empty_or_say_nothing(tmp_path, is_encoded):
    encoder = str(write_tiny_encoder(tmp_path / "encoder")) if is_encoded else None
    config = default_config(learner=SMALL["learner"] | {"content": {"text_encoder": encoder}})
    told: list[dict[str, object] | bytes] = [
        {"type": "item", "item": f"i{n}", "ts": 0}
        | {"title": TEXTS[n % 7], "text": TEXTS[n // 7], "category": "" if n % 2 else None}
        | {"attributes": ATTRIBUTES[n % 5]}
        for n in range(49)
    ]
    stream = [click(f"u{n % 9}", f"i{item}", n + 1) for n, item in enumerate(draws(500))]
    ended = run(tmp_path, config, [*told, *stream])
    assert ended.counts["samples"] == 500
    assert all(recall > 0.2 for recall in ended.recalls().values())
    weights = ended.pipeline.state_dict()["panel"]["learners"]["blend"]["parts"]["transformer"]
    for weight in weights["finetuner"]["weights"].values():
        assert np.isfinite(weight["weight"]).all()


def test_a_text_encoder_that_is_missing_or_of_a_wrong_kind(tmp_path):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "config.json").write_text('{"model_type": "vit"}')
    file = tmp_path / "file"
    file.write_text("no folder")
    for name, told in (
        (
            "/nowhere/at-all",
            "there is no folder '/nowhere/at-all'; give one that holds an AutoModel",
        ),
        (str(wrong), "holds no text encoder that transformers can read"),
        (str(file), "there is no folder"),
    ):
        config = default_config(learner=SMALL["learner"] | {"content": {"text_encoder": name}})
        with pytest.raises(ConfigError, match=told) as raised:
            run(tmp_path, config, [click("u", "i", 1)])
        assert "learner.content.text_encoder" in str(raised.value)


@pytest.mark.parametrize("cap", [1, 2, 8])
@pytest.mark.parametrize("exact_items", [0, 50_000])
def test_caps_smaller_than_a_batch(tmp_path, cap, exact_items):
    config = default_config(
        catalogue={"max_items": cap},
        histories={"max_users": cap},
        session_knn={"max_sessions": cap},
        joiner={"max_pending": cap},
        learner=SMALL["learner"]
        | {"replay_sequences": 2, "sampling": {"exact_items": exact_items, "negatives": 4}},
    )
    users, items = draws(1_000), draws(1_000, seed=1)
    stream = [
        click(f"u{user}", f"i{item}", n)
        for n, (user, item) in enumerate(zip(users, items, strict=True))
    ]
    ended = run(tmp_path, config, stream)
    assert ended.counts["samples"] == 1_000
    assert ended.counts["unlearned_clicks"] > 100  # newcomers of a batch that found no room
    for table in ("catalogue", "histories"):
        assert len(ended.pipeline.parts.tables[table]) == cap


def test_lists_and_clicks_of_more_users_and_items_than_there_are_rows(tmp_path):
    stream: list[dict[str, object] | bytes] = []
    for n in range(400):
        items = [f"i{n}", f"i{n + 1}", f"i{n + 2}"]
        shown = {"type": "impression", "request_id": f"r{n}", "user": f"u{n % 60}", "items": items}
        stream.append(shown | {"ts": 1_000 * n})
        stream.append(click(f"u{n % 60}", f"i{n + 1}", 1_000 * n + 1) | {"request_id": f"r{n}"})
    caps = {"catalogue": {"max_items": 5}, "histories": {"max_users": 5}}
    ended = run(tmp_path, default_config(**caps, joiner={"max_pending": 7}), stream)
    counts = ended.counts
    assert (counts["impressions"], counts["joined_clicks"]) == (400, 400)
    assert counts["matured"] + counts["pending_impressions"] == 400
    assert counts["matured_early"] > 300  # let go at the cap, and told so
