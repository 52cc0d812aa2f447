"""Open Bandit: what a fashion shop showed under two policies, and what was clicked [1]_.

`random-<campaign>.csv` and `bts-<campaign>.csv` hold a row for each item shown at a position,
`<campaign>-item_context.csv` the features of the items; each may end in `.gz`.

References
----------
.. [1] Saito, Aihara, Matsutani, Narita. Open Bandit Dataset and Pipeline. NeurIPS Datasets and
   Benchmarks, 2021.
"""

import csv
import heapq
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from stream.decoding import normalised
from stream.errors import UsageError
from stream.events import Click, Event, Impression, Item
from stream.importers.rows import (
    BadRows,
    files_of,
    header_of,
    id_of,
    parsed_rows,
    shown,
    whole_number,
)

_LOG_NAME = re.compile(r"(?P<policy>random|bts)-(?P<campaign>.+?)\.csv(?:\.gz)?")
_LOOKED_FOR = "random-<campaign>.csv and bts-<campaign>.csv, each also with .gz"
_LOG_COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")
_USER_FEATURE = "user_feature_"
_ITEM_FEATURE = "item_feature_"
# The only feature of an item that is a number; the others are hashed categories.
_NUMBER_FEATURE = "item_feature_0"
# 64 bits: two users of a log of millions still hardly ever meet in one hash.
_USER_HASH_BYTES = 8


def open_bandit_events(
    source: Path, bad_rows: BadRows, *, with_catalogue: bool = True
) -> Iterator[Event]:
    """An impression for each row, and a click right after it where there was one, by time.

    An impression shows one item; `request_id` is `<file>-<row>` with rows from 0, `policy` is
    `random` or `bts`, and `context` holds the position and the user's features. The log names
    no users: a user is the hash of those features. Of equal times `bts` comes first. One row a
    file is held in memory.

    Parameters
    ----------
    source : Path
        A folder with the logs of one campaign, or one of the logs.
    bad_rows : BadRows
        Is told of each row that cannot be used.
    with_catalogue : bool
        Whether the items come at the head, at the time of the first impression, if
        `<campaign>-item_context.csv` is beside the logs.

    Raises
    ------
    UsageError
        If there is no log, one twice or one of another campaign; if a column is missing; and,
        while reading, if a log is not in order of time.
    """
    logs = _find_logs(source)
    item_context = _find_item_context(logs[0])
    return _events(logs, item_context if with_catalogue else None, bad_rows)


@dataclass(frozen=True, slots=True)
class _Log:
    path: Path
    policy: str
    campaign: str
    columns: tuple[str, ...]

    @property
    def stem(self) -> str:
        return f"{self.policy}-{self.campaign}"


def _find_logs(source: Path) -> list[_Log]:
    logs = [
        _Log(path, match["policy"], match["campaign"], _columns_of(path, _LOG_COLUMNS))
        for path in files_of(source)
        if (match := _LOG_NAME.fullmatch(path.name))
    ]
    if not logs:
        problem = "holds no Open Bandit log" if source.exists() else "no such folder or file"
        raise UsageError(f"{source}: {problem}; looked for {_LOOKED_FOR}")
    for one, other in pairwise(logs):
        if one.stem == other.stem:
            raise UsageError(f"{source}: {one.path.name} is there twice, once as .gz; keep one")
    campaigns = list(dict.fromkeys(log.campaign for log in logs))
    if len(campaigns) > 1:
        raise UsageError(
            f"{source}: holds the campaigns {', '.join(campaigns)}, whose item ids mean different "
            "items; give each a folder of its own, or name one file"
        )
    return logs


def _columns_of(path: Path, required: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(header_of(path).split(","))
    if missing := [name for name in required if name not in columns]:
        raise UsageError(
            f"{path}:1: the header lacks {', '.join(missing)}; got {','.join(columns)[:200]}"
        )
    return columns


def _find_item_context(log: _Log) -> Path | None:
    name = f"{log.campaign}-item_context.csv"
    beside = (log.path.with_name(name), log.path.with_name(f"{name}.gz"))
    return next((path for path in beside if path.is_file()), None)


def _events(logs: Sequence[_Log], item_context: Path | None, bad_rows: BadRows) -> Iterator[Event]:
    shown_by_log = [_impressions(log, bad_rows) for log in logs]
    merged = heapq.merge(*shown_by_log, key=lambda pair: pair[0].ts)
    first = next(merged, None)
    if first is None:
        return
    if item_context:
        yield from _items(item_context, int(first[0].ts), bad_rows)
    for impression, click in chain([first], merged):
        yield impression
        if click:
            yield click


_Pair = tuple[Impression, Click | None]


def _impressions(log: _Log, bad_rows: BadRows) -> Iterator[_Pair]:
    previous_ts_ms = 0

    def pair_of(line_number: int, line: str) -> _Pair:
        nonlocal previous_ts_ms
        pair = _pair(log, line_number - 2, _row(log.columns, line))
        ts_ms = int(pair[0].ts)
        if ts_ms < previous_ts_ms:
            raise UsageError(
                f"{log.path}:{line_number}: is earlier than the row before it; sort the file by "
                "timestamp"
            )
        previous_ts_ms = ts_ms
        return pair

    return parsed_rows(log.path, pair_of, bad_rows, first_line=2)


def _row(columns: tuple[str, ...], line: str) -> dict[str, str]:
    try:
        fields = next(csv.reader([line], strict=True))
    except csv.Error as err:
        raise ValueError(f"expected comma-separated fields: {err}") from err
    if len(fields) != len(columns):
        raise ValueError(f"expected {len(columns)} fields, got {len(fields)}")
    return dict(zip(columns, fields, strict=True))


def _pair(log: _Log, row_number: int, row: dict[str, str]) -> _Pair:
    features = {name: row[name] for name in log.columns if name.startswith(_USER_FEATURE)}
    user = _user(features.values())
    context: dict[str, Any] = {"position": whole_number(row["position"], "position"), **features}
    impression = Impression(
        request_id=f"{log.stem}-{row_number}",
        user=user,
        items=[id_of(row["item_id"], "item_id")],
        ts=row["timestamp"],
        propensities=[_number(row["propensity_score"], "propensity_score")],
        policy=log.policy,
        context=context,
    )
    normalised(impression)
    if row["click"] not in ("0", "1"):
        raise ValueError(f"click: expected 0 or 1, got {shown(row['click'])}")
    if row["click"] == "0":
        return impression, None
    click = Click(user, row["item_id"], impression.ts, request_id=impression.request_id)
    return impression, click


def _user(features: Iterable[str]) -> str:
    # A unit separator stands between them, so that moving a letter across makes another user.
    return blake2b("\x1f".join(features).encode(), digest_size=_USER_HASH_BYTES).hexdigest()


def _items(path: Path, ts_ms: int, bad_rows: BadRows) -> Iterator[Item]:
    columns = _columns_of(path, ("item_id",))

    def item_of(_line_number: int, line: str) -> Item:
        row = _row(columns, line)
        attributes = {
            name: _number(row[name], name) if name == _NUMBER_FEATURE else row[name]
            for name in columns
            if name.startswith(_ITEM_FEATURE)
        }
        return Item(id_of(row["item_id"], "item_id"), ts_ms, attributes=attributes or None)

    return parsed_rows(path, item_of, bad_rows, first_line=2)


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise ValueError(f"{column}: expected a number, got {shown(text)}")
