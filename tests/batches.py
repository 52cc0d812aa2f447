"""Small batches for tests."""

import numpy as np

from stream.values import Batch, Clicks


def batch_of(
    clicks: list[tuple[str, str, int]],
    seq: int = 0,
    others: tuple[object, ...] = (),
    sessions: list[str | None] | None = None,
) -> Batch:
    """A batch of (user, item, ts) clicks, ordered by time as a source orders them."""
    order = sorted(range(len(clicks)), key=lambda i: clicks[i][2])
    rows = [clicks[i] for i in order]
    return Batch(
        seq=seq,
        n_records=len(rows) + len(others),
        clicks=Clicks(
            [row[0] for row in rows],
            [row[1] for row in rows],
            np.array([row[2] for row in rows], np.int64),
            None if sessions is None else [sessions[i] for i in order],
        ),
        others=others,  # type: ignore[arg-type]
        dead_letters=(),
        watermark_ms=max((row[2] for row in rows), default=0),
        end={"test": {"offset": seq + 1}},
    )


def cut(clicks: list[tuple[str, str, int]], size: int) -> list[Batch]:
    """A stream of clicks in batches of `size`, in order of arrival."""
    parts = [clicks[start : start + size] for start in range(0, len(clicks), size)]
    return [batch_of(part, seq) for seq, part in enumerate(parts)]
