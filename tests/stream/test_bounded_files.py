"""A live run's output files: bounded, and after any resume those of a run that was left alone."""

from contextlib import closing

import msgspec
import pytest

from evaluators.vocabulary import FAMILIES
from stream.build import build_pipeline, config_hash
from stream.checkpoint import Checkpoints
from stream.checkpoint_files import list_checkpoints
from stream.config import FreshrankConfig
from stream.daemon import Daemon, DaemonJob
from stream.events import Click
from stream.reporting.json_lines import JsonLines
from stream.run_folder import resolved
from stream.sinks.segments import full_segments
from stream.sources.shop import SimulatorConfig
from stream.sources.simulator import simulate
from stream.values import DeadLetter
from tests.brokers import produce, read_topic
from tests.fakes import CRASH, CrashError, ListSource
from tests.runs import SMALL, run_until, small_config

OUTPUTS = ("metrics", "alerts", "dead_letters")
SMALL_FILES = {"segment_bytes": 8192, "max_bytes": 3 * 8192}


def stream_of(n_clicks):
    """Clicks, and a dead letter after every fourth."""
    clicks = [Click(f"u{n % 7}", f"i{n % 11}", 1_000 * n) for n in range(n_clicks)]
    stream = []
    for n, click in enumerate(clicks):
        letter = DeadLetter(f"events/0@{n}", "no JSON", b"x" * 300)
        stream += [click] if n % 4 else [click, letter]
    return stream


def run_live(out, config, source):
    """Run as a daemon does, from the newest checkpoint that verifies."""
    folder = config.checkpoint.model_copy(update={"dir": out / "checkpoints"})
    with Checkpoints(folder, config_hash(config)) as checkpoints:
        pipeline = build_pipeline(config, source, out, checkpoints, topics={})
        with closing(pipeline):
            found, start = checkpoints.latest(), None
            if found is not None:
                pipeline.load_state_dict(found.state)
                start = found.manifest.position
            pipeline.run(start)
    return found


def files_in(out):
    return {path.name: path.read_bytes() for path in out.glob("*.jsonl")}


@pytest.mark.parametrize("n_damaged", [0, 1, 3])
def test_a_killed_run_leaves_the_files_of_an_unbroken_one_even_from_an_older_checkpoint(
    tmp_path, n_damaged
):
    config = small_config(
        champion="popularity",
        shadows=[],
        outputs={"files": SMALL_FILES},
        evaluator={"emit_events": 16, "window_events": 100},
        checkpoint={"anchor_events": 200, "keep_anchors": 2, "every": "0ms"},
    )
    stream = stream_of(600)
    run_live(tmp_path / "unbroken", config, ListSource(stream, 32))
    unbroken = files_in(tmp_path / "unbroken")
    for name in ("metrics", "dead_letters"):  # both have come to their limit
        full = full_segments(tmp_path / "unbroken" / f"{name}.jsonl")
        assert len(full) == 2
        assert full[0][0] > 0
    out = tmp_path / "killed"
    with pytest.raises(CrashError):
        run_live(out, config, ListSource([*stream[:700], CRASH, *stream[700:]], 32))
    stored = list_checkpoints(out / "checkpoints")
    for _, _, path in stored[len(stored) - n_damaged :]:
        (path / "state.msgpack").write_bytes(b"damaged")
    found = run_live(out, config, ListSource(stream, 32))
    assert len(found.passed_by) == n_damaged
    assert files_in(out) == unbroken


def test_a_replay_writes_whole_files_whatever_the_limits(tmp_path):
    config = small_config(outputs={"files": {"segment_bytes": 4096, "max_bytes": 8192}})
    with Checkpoints(
        config.checkpoint.model_copy(update={"dir": tmp_path / "checkpoints"}), "hash"
    ) as checkpoints:
        source = ListSource(stream_of(400), 32)
        with closing(build_pipeline(config, source, tmp_path, checkpoints)) as pipeline:
            pipeline.run()
    assert (tmp_path / "metrics.jsonl").stat().st_size > 8192
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [
        f"{name}.jsonl" for name in sorted(OUTPUTS)
    ]


def test_a_daemon_keeps_its_files_within_their_limits(kafka, topic, tmp_path):
    events, metrics = topic(1), topic(1)
    shop = SimulatorConfig(clicks=300, users=30, items=40, categories=4, days=2)
    lines = [msgspec.json.encode(event) for event in simulate(shop).events()]
    connection = {"connection": {"bootstrap": kafka.bootstrap}}
    settings = SMALL | {
        "champion": "popularity",
        "shadows": [],
        # Short records, so that a file holds several.
        "evaluator": {"emit_events": 16} | {family: {"enabled": False} for family in FAMILIES},
        "source": {"kafka": {**connection, "topics": [events], "start": "earliest"}},
        "outputs": {"kafka": {"metrics": metrics}, "files": SMALL_FILES},
        "server": {"port": None},
    }
    config = resolved(FreshrankConfig.model_validate(settings), tmp_path, resume=False)
    job = DaemonJob(config, tmp_path / "freshrank.yaml", (), tmp_path)
    half = len(lines) // 2
    produce(kafka.bootstrap, events, lines[:half])
    run_until(Daemon(job), half)
    produce(kafka.bootstrap, events, lines[half:])
    run_until(Daemon(job), len(lines))
    path = tmp_path / "metrics.jsonl"
    kept = [*(path for _, path in full_segments(path)), path]
    assert len(kept) >= 3
    assert sum(file.stat().st_size for file in kept) <= SMALL_FILES["max_bytes"]
    left = b"".join(file.read_bytes() for file in kept).splitlines()
    told = [record.value for record in read_topic(kafka.bootstrap, metrics)]
    assert len(left) < len(told)
    assert left == told[-len(left) :]
    lines_left = JsonLines(path)
    assert len(list(lines_left)) == len(left)
    assert lines_left.n_dropped > 0
