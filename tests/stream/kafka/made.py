"""Chunks made by hand."""

import numpy as np

from stream.events import Click
from stream.kafka.fetching.chunks import Chunk


def chunk(start, stop, ts=None, topic_id="a", offsets=None, arrived_s=0.0):
    """A click at each offset; `offsets` leaves holes."""
    offsets = list(range(start, stop)) if offsets is None else offsets
    ts = [1000 + offset for offset in offsets] if ts is None else ts
    values = [b"value %d" % offset for offset in offsets]
    return Chunk(
        topic_id=topic_id,
        start=start,
        stop=stop,
        entries=[Click("u", f"i{o}", t) for o, t in zip(offsets, ts, strict=True)],
        values=values,
        offsets=offsets,
        timestamps=[10 * offset for offset in offsets],
        ts_N=np.array(ts, np.int64),
        n_bytes=sum(map(len, values)),
        arrived_s=arrived_s,
    )
