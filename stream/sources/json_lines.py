"""JSON objects, one a line, become records."""

from collections.abc import Iterator

import numpy as np

from stream.decoding import EventDecoder, dead_letter
from stream.sources.blocks import Blocks
from stream.sources.inputs import Input
from stream.sources.lines import LineCutter, Lines
from stream.sources.reader import Place, ReaderSettings
from stream.sources.records import Records, times
from stream.values import DeadLetter

UTF8_BOM = b"\xef\xbb\xbf"


class JsonLinesReader:
    """Reads JSON lines; keeps the contract of `Reader`."""

    def __init__(self, source: Input, settings: ReaderSettings) -> None:
        self._source = source
        self._settings = settings
        self._blocks = Blocks(source, settings.stdin)
        self._decoder = EventDecoder(settings.kind, settings.columns)

    @property
    def bytes_read(self) -> int:
        return self._blocks.bytes_read

    def read(self, file_number: int, place: Place) -> Iterator[Records]:
        cutter = LineCutter(self._blocks, self._settings.max_line_bytes)
        ts_ms = place.ts_ms
        for lines in cutter.cut(self._settings.chunk_records, place.offset, place.number):
            records = self._records(lines, file_number, ts_ms)
            ts_ms = int(records.ts_N[-1])
            yield records

    def _records(self, lines: Lines, file_number: int, ts_ms: int) -> Records:
        def bury(i: int, reason: str) -> DeadLetter:
            number = lines.numbers[i]
            origin = f"{self._source.path}:{number}"
            return dead_letter(origin, lines.faults.get(number, reason), lines.lines[i])

        if lines.numbers[0] == 1:
            lines.lines[0] = lines.lines[0].removeprefix(UTF8_BOM)
        entries = self._decoder.decode_lines(lines.lines, bury)
        for number, reason in lines.faults.items():
            i = lines.numbers.index(number)
            entries[i] = bury(i, reason)
        number_N = np.array(lines.numbers, np.int64)
        return Records(
            entries=entries,
            raws=lines.lines,
            file_N=np.full(len(entries), file_number, np.int64),
            ts_N=times(entries, ts_ms),
            number_N=number_N,
            end_N=np.array(lines.ends, np.int64),
            next_number_N=number_N + 1,
        )
