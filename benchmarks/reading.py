"""One reading of a topic, timed, in a process of its own."""

import argparse
import json
import time
from collections.abc import Callable, Mapping


class Stopwatch:
    """Wall clock and CPU time of the middle eight tenths of the records.

    Connecting is left out, and who reads ahead is as far ahead at both ends.
    """

    def __init__(self, n_records: int) -> None:
        self._n_records = n_records
        self._bounds = [n_records // 10, n_records - n_records // 10]
        self._marks: list[tuple[int, float, float]] = []

    def reached(self, n_records: int) -> bool:
        """Note how many were read; whether that is all of them."""
        if len(self._marks) < 2 and n_records >= self._bounds[len(self._marks)]:
            self._marks.append((n_records, time.perf_counter(), time.process_time()))
        return n_records >= self._n_records

    def cost(self) -> dict[str, float]:
        """Seconds of a record, by the clock and of CPU."""
        (first, began_s, began_cpu_s), (last, ended_s, ended_cpu_s) = self._marks
        n_records = last - first
        return {
            "wall_s": (ended_s - began_s) / n_records,
            "cpu_s": (ended_cpu_s - began_cpu_s) / n_records,
        }


Reader = Callable[[str, str, Stopwatch], None]
"""Reads a topic of a broker until the stopwatch says that this was all of it."""


def main(readers: Mapping[str, Reader]) -> None:
    """Run the reader that the command line names, and print what a record cost it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=readers)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("records", type=int)
    arguments = parser.parse_args()
    watch = Stopwatch(arguments.records)
    readers[arguments.reader](arguments.bootstrap, arguments.topic, watch)
    print(json.dumps(watch.cost()))
