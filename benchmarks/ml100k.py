"""ml-100k, one pass: the transformer ranks the next movie better than popularity does.

All 100,000 ratings as clicks, in order of time, equal times in the file's order; each is
predicted before it is learned, among all movies known by then, seen ones excluded; a context
holds only what is strictly earlier. Every learner answers the same queries in the same run.
With `--catalogue` all movies are known from the beginning, with their titles, genres and years:
a click on one that was never clicked before is a miss no longer.

Three quarters of the ratings share user and second with another, and so tell nothing to each other.
With `--file-order` those of one second are a millisecond apart, in the file's order, which is then
taken to be the order they were made in: the usual reading of this dataset, and an easier one.

    python -m benchmarks.ml100k [--catalogue] [--file-order] [--set key=value ...]
"""

import argparse
import json
import tempfile
from pathlib import Path

import msgspec

from benchmarks.datasets import event_file
from stream.config import FreshrankConfig
from stream.replay import Replay, run_replay
from stream.run_folder import resolved
from stream.settings import read_settings
from stream.sources.file import FileSource

CONFIG = Path(__file__).with_name("ml100k.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", action="store_true", help="tell all movies at the head")
    parser.add_argument(
        "--file-order", action="store_true", help="set ratings of one second a millisecond apart"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = resolved(read_settings(FreshrankConfig, CONFIG, arguments.set), out, False)
        events = event_file("ml-100k", Path(folder), with_catalogue=arguments.catalogue)
        if arguments.file_order:
            set_apart(events)
        source = FileSource(config.source, [str(events)], config.batch)
        record = run_replay(Replay(config, source, out)).record
    print(f"ml-100k, prequential, {record['events']:,} clicks, batches of {config.batch.events}")
    print(f"{'':14}{'Recall@20':>10}{'MRR@20':>9}{'NDCG@20':>9}   champion - it, 95 %")
    print(_line(config.champion, record["metrics"]))
    for name, figures in record["shadows"].items():
        print(_line(name, figures))
    print(json.dumps({key: record[key] for key in ("seconds", "events_per_second", "counts")}))


def set_apart(events: Path) -> None:
    """Give clicks of one second, which are in order, a millisecond each."""
    told = [msgspec.json.decode(line) for line in events.read_bytes().splitlines()]
    number, second = 0, None
    for event in told:
        if event["type"] == "click":
            number = number + 1 if event["ts"] == second else 0
            second = event["ts"]
            assert number < 1_000, "the next second has begun"
            event["ts"] = second + number
    events.write_bytes(b"\n".join(msgspec.json.encode(event) for event in told) + b"\n")


def _line(name: str, figures: dict) -> str:
    at = {figure: figures[f"{figure}@20"] for figure in ("recall", "mrr", "ndcg")}
    line = f"{name:14}{at['recall']['total']:10.4f}{at['mrr']['total']:9.4f}"
    line += f"{at['ndcg']['total']:9.4f}"
    if "interval" in at["recall"]:
        low, high = at["recall"]["interval"]
        line += f"   {at['recall']['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    return line


if __name__ == "__main__":
    main()
