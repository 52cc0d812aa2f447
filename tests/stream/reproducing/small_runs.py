"""Small replays whose rules fire often, told of as `freshrank replay` tells of them."""

from pathlib import Path

from stream.replay import Replay, run_replay
from stream.reporting.json_lines import JsonLines
from stream.reproducing.comparing import Reproduction
from stream.reproducing.job import read_run, reproduce
from stream.run_folder import resolved
from stream.sources.file import FileSource
from stream.values import Record
from tests.runs import RESTLESS, small_config

CHECKPOINT = {"anchor_events": 300, "keep_anchors": 2, "every": "0ms", "keep_named": 100}
# Rolled back as often as it may be, within one range too.
ALERTS = RESTLESS | {
    "rules": [
        *RESTLESS["rules"],
        {
            "name": "mrr_falls",
            "kind": "drop",
            "metric": "mrr@20",
            "over": "events",
            "reference": "300 events",
            "share": 0.01,
            "min_samples": 20,
            "react": "rollback",
        },
    ],
    "reactions": {"rollback": {"at_most_every": "20m"}, "freeze": {"at_most": "2h"}},
}


def replay(out: Path, files: list[Path], resume: bool = False, **changes: object) -> None:
    """Replay files into a folder."""
    settings = {"alerts": ALERTS, "checkpoint": CHECKPOINT, "joiner": {"labels": "eager"}}
    config = resolved(small_config(**(settings | changes)), out, resume)
    source = FileSource(config.source, [str(file) for file in files], config.batch)
    run_replay(Replay(config, source, out, resume, source.paths))


def fired(out: Path) -> list[Record]:
    """The firing notices of a run, in order."""
    return [one for one in JsonLines(out / "alerts.jsonl") if one.get("state") == "firing"]


def computed_again(out: Path, notice: Record) -> Reproduction:
    """What comes out for a notice."""
    return reproduce(read_run(out), notice, lambda *_: None, lambda *_: None)
