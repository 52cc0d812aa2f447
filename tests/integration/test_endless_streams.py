"""Streams with many times more ids than rows: what is held stays as large as it is.

With everything on that holds something by id: the blend and its shadows, tokens of metadata, given
vectors, sampled softmaxes, lists that wait, anchors.
"""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.config import FreshrankConfig
from stream.events import Click, Conversion, Event, Impression, Item
from stream.pipeline import Pipeline
from stream.values import Changes, Outcomes
from tests.fakes import CRASH, CrashError, ListSource
from tests.runs import SMALL, contents, default_config, pipeline_in, run_in
from tests.state_sizes import different, sizes

ROWS = 24
USERS = 12
TOKEN_BUCKETS = 32
BATCH = 32
# What holds as many entries as the stream's last batches happened to leave: each is below a cap.
CAPS = {
    # Live sessions x their clicks, in bytes.
    "session_knn.sessions.postings": 50 * 20 * 8,
    # Clicks that wait one batch, a context of 8 for each.
    "joiner.deferral": BATCH * 8 * 8,
    # Tokens in use of all rows.
    "content.bucket": ROWS * 6 * 4,
    # The last 65,536 clicks, but for those of rows that were recycled.
    "sampler.click": 65_536 * 4,
    # Lists that wait, each of three items in a context of 8.
    "joiner.lists": 10 * (3 + 8) * 8,
    # Clicks that wait for their conversion, each in a context of 8.
    "joiner.scored": 10 * 8 * 8,
}


def endless_config(exact_items: int) -> FreshrankConfig:
    content = {"token_buckets": TOKEN_BUCKETS, "tokens": 6, "vectors": {"image": 4}}
    sampling = {"exact_items": exact_items, "negatives": 8}
    return default_config(
        catalogue={"max_items": ROWS},
        histories={"max_users": USERS},
        session_knn={"max_sessions": 50},
        joiner={"max_pending": 10},
        evaluator={"business": {"exact_users": USERS}},
        checkpoint={"anchor_events": 100, "keep_anchors": 2, "every": "0ms"},
        learner=SMALL["learner"] | {"sampling": sampling, "content": content},
    )


def endless(n_items: int) -> Iterator[Event]:
    """Each item is told, then clicked some times among its latest; so are users."""
    rng = np.random.default_rng(0)
    for n in range(n_items):
        ts = 4_000 * n
        title = f"word{n} word{n + 1} kind{n % 5}"
        vectors = {"image": rng.normal(size=4).tolist()}
        yield Item(f"i{n}", ts, title=title, category=f"c{n % 7}", vectors=vectors)
        user = f"u{n // 2}"
        shown = [f"i{max(n - back, 0)}" for back in (0, 3, 5)] if n > 5 else ["i0"]
        yield Impression(f"r{n}", user, shown, ts + 1)
        yield Click(user, shown[0], ts + 2, request_id=f"r{n}")
        yield Click(f"u{max(n // 2 - int(rng.integers(8)), 0)}", f"i{max(n - 7, 0)}", ts + 3)
        if n % 3 == 0:
            yield Conversion(user, shown[0], ts + 4, value=1.0)


@pytest.mark.parametrize("exact_items", [ROWS // 2, 50_000], ids=["sampled", "exact"])
def test_what_is_held_after_ten_times_more_ids_than_rows_is_what_was_after_five(
    tmp_path, exact_items
):
    stream = list(endless(10 * ROWS))
    clicks = [event for event in stream if isinstance(event, Click)]
    assert len({click.item for click in clicks}) >= 9.5 * ROWS
    assert len({click.user for click in clicks}) >= 9.5 * USERS
    half, whole = (len(stream) // BATCH // 2 * BATCH, len(stream) // BATCH * BATCH)
    held, traced = {}, {}

    def measure(_batch, pipeline):
        if pipeline.n_events in (half, whole):
            held[pipeline.n_events] = sizes(pipeline.state_dict())
            traced[pipeline.n_events] = tracemalloc.get_traced_memory()[0]

    config = endless_config(exact_items)
    tracemalloc.start()
    try:
        with pipeline_in(tmp_path, config, ListSource(stream, BATCH), measure) as (pipeline, _):
            pipeline.run()
    finally:
        tracemalloc.stop()
    assert len(pipeline.parts.tables["catalogue"]) == ROWS
    assert len(pipeline.parts.tables["histories"]) == USERS
    [tokens] = [size for path, size in held[whole].items() if path.endswith("content.hash")]
    assert tokens == TOKEN_BUCKETS * 8
    grown = {}
    for path, (before, now) in different(held[half], held[whole]).items():
        cap = next((cap for part, cap in CAPS.items() if part in path), before)
        if now > cap:
            grown[path] = (before, now, cap)
    assert grown == {}
    assert traced[whole] < 1.05 * traced[half]


@pytest.mark.parametrize("exact_items", [ROWS // 2, 50_000], ids=["sampled", "exact"])
def test_a_run_that_crashed_amid_recycled_rows_goes_on_as_if_it_had_not(tmp_path, exact_items):
    config = endless_config(exact_items)
    stream: list[Event] = list(endless(4 * ROWS))
    run_in(tmp_path / "unbroken", config, ListSource(stream, BATCH))
    half = len(stream) // 2
    out: Path = tmp_path / "broken"
    with pytest.raises(CrashError):
        run_in(out, config, ListSource([*stream[:half], CRASH, *stream[half:]], BATCH))
    run_in(out, config, ListSource(stream, BATCH), resume=True)
    assert contents(out) == contents(tmp_path / "unbroken")


class Looker:
    """Looks, after each batch, for anything that is still held of the rows that were recycled."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._panel = pipeline.parts.panel
        self._vector_VD = np.zeros((0, 0), np.float32)
        self.n_recycled = 0

    def learn(self, outcomes: Outcomes) -> None:
        blend = self._panel.state_dict()["learners"]["blend"]["parts"]["transformer"]
        table = blend["finetuner"]["weights"]["items.vector_VD"]
        self._vector_VD = table["weight"].copy()

    def follow(self, changes: Changes) -> None:
        rows_R = changes.recycled_R
        self.n_recycled += len(rows_R)
        learners = self._panel.state_dict()["learners"]
        parts = learners["blend"]["parts"]
        transformer = parts["transformer"]
        table = transformer["finetuner"]["weights"]["items.vector_VD"]
        assert not np.isin(table["weight"][rows_R], self._vector_VD).any()
        np.testing.assert_array_equal(
            transformer["served"]["weights"]["items.vector_VD"][rows_R], table["weight"][rows_R]
        )
        for moment in ("exp_avg", "exp_avg_sq"):
            assert moment not in table or not table[moment][rows_R].any()
        untold_R = np.setdiff1d(rows_R, list(changes.described))
        assert not transformer["content"]["n_tokens"][untold_R].any()
        assert not transformer["content"]["dense"][untold_R].any()
        for rows in (transformer["replay"]["sequence"], transformer["sampler"]["click"]):
            assert not np.isin(rows, rows_R).any()
        assert not learners["popularity"]["weight"][rows_R].any()
        assert not parts["item_knn"]["n_clicks"][rows_R].any()
        assert not parts["item_knn"]["table"]["weight"][rows_R].any()
        sessions = parts["session_knn"]["sessions"]
        assert not sessions["holders"][rows_R].any()
        assert not np.isin(sessions["items"], rows_R).any()


@pytest.mark.parametrize("exact_items", [ROWS // 2, 50_000], ids=["sampled", "exact"])
def test_nobody_holds_anything_of_a_row_that_was_recycled(tmp_path, exact_items):
    stream: list[Event] = list(endless(5 * ROWS))
    config = endless_config(exact_items)
    with pipeline_in(tmp_path, config, ListSource(stream, BATCH)) as (pipeline, _):
        looker = Looker(pipeline)
        pipeline.parts.panel.attend(looker)
        pipeline.run()
    assert looker.n_recycled >= 4 * ROWS
