"""Decoding and checking events costs little more than bare msgspec.

The same JSON lines, in memory, are decoded by bare msgspec into the same event types, and by
freshrank's decoder, which also looks at each line by itself, refuses bytes that are no UTF-8,
and brings ids and times to one form. Both are timed in turn, and the ratio of their speeds is
taken pair by pair.

    python -m benchmarks.decode [--events 200000] [--pairs 7]
"""

import argparse
import json
import statistics
import time

import msgspec

from stream.decoding import EventDecoder
from stream.events import Event
from stream.values import DeadLetter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=7)
    arguments = parser.parse_args()
    lines = [
        json.dumps(
            {
                "type": "click",
                "user": f"u{n % 5000}",
                "item": f"i{n % 900}",
                "ts": 1_700_000_000_000 + n,
            }
        ).encode()
        for n in range(arguments.events)
    ]
    bare = msgspec.json.Decoder(Event)
    ours = EventDecoder()
    bare_s, ours_s = [], []
    for _ in range(arguments.pairs):
        started_s = time.perf_counter()
        for start in range(0, len(lines), 4096):
            list(map(bare.decode, lines[start : start + 4096]))
        bare_s.append(time.perf_counter() - started_s)
        started_s = time.perf_counter()
        for start in range(0, len(lines), 4096):
            ours.decode_lines(lines[start : start + 4096], buried)
        ours_s.append(time.perf_counter() - started_s)
    ratios = [one / other for one, other in zip(bare_s, ours_s, strict=True)]
    print(
        f"bare msgspec {len(lines) / statistics.median(bare_s):,.0f} events/s, freshrank "
        f"{len(lines) / statistics.median(ours_s):,.0f} events/s, ratio "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
    )


def buried(_number: int, reason: str) -> DeadLetter:
    raise AssertionError(f"all lines are good: {reason}")


if __name__ == "__main__":
    main()
