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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    source: Path, bad_rows: BadRows, *, with_catalogue: bool = True, with_targets: bool = False
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
    with_targets : bool
        Whether each impression says, as `targets`, how likely the policy of the other log would
        have shown its item at its position; see `policy_table`. Needs both logs, and reads them
        twice.

    Raises
    ------
    UsageError
        If there is no log, one twice or one of another campaign; if a column is missing; and,
        while reading, if a log is not in order of time.
    """
    logs = _find_logs(source)
    item_context = _find_item_context(logs[0])
    others: dict[str, _Target] = {}
    if with_targets:
        if len(logs) < 2:
            raise UsageError(
                f"{source}: holds one log, and targets are read from another policy's; name a "
                "folder with both, or leave the targets out"
            )
        first, second = (_Target(log.policy, _table_of(log)) for log in logs)
        others = {first.policy: second, second.policy: first}
    return _events(logs, item_context if with_catalogue else None, others, bad_rows)


def policy_table(
    propensities: Iterable[tuple[str, str, float]],
) -> dict[tuple[str, str], float]:
    """How likely a policy shows each item at each position, over the time of its log.

    By item and position the harmonic mean of the logged propensities: an item is logged in
    proportion to its propensity, so that a plain mean would count the times when it was high too
    often. Brought to a sum of 1 over the items of a position.

    Parameters
    ----------
    propensities : iterable of (str, str, float)
        Item, position and propensity of each row.

    Examples
    --------
    >>> table = policy_table([("a", "1", 0.5), ("a", "1", 0.25), ("b", "1", 0.5)])
    >>> {key: round(probability, 3) for key, probability in table.items()}
    {('a', '1'): 0.4, ('b', '1'): 0.6}
    """
    count_of, inverse_of = dict[tuple[str, str], int](), dict[tuple[str, str], float]()
    for item, position, propensity in propensities:
        key = item, position
        count_of[key] = count_of.get(key, 0) + 1
        inverse_of[key] = inverse_of.get(key, 0.0) + 1 / propensity
    mean_of = {key: count / inverse_of[key] for key, count in count_of.items()}
    sum_of: dict[str, float] = {}
    for (_, position), mean in mean_of.items():
        sum_of[position] = sum_of.get(position, 0.0) + mean
    return {key: mean / sum_of[key[1]] for key, mean in mean_of.items()}


@dataclass(frozen=True, slots=True)
class _Log:
    path: Path
    policy: str
    campaign: str
    columns: tuple[str, ...]

    @property
    def stem(self) -> str:
        return f"{self.policy}-{self.campaign}"


@dataclass(frozen=True, slots=True)
class _Target:
    policy: str
    probability_of: Mapping[tuple[str, str], float]


def _table_of(log: _Log) -> dict[tuple[str, str], float]:
    """The policy of a log; rows that cannot be used are told when the log is imported."""

    def entry_of(_line_number: int, line: str) -> tuple[str, str, float]:
        row = _row(log.columns, line)
        propensity = _number(row["propensity_score"], "propensity_score")
        if propensity <= 0:
            raise ValueError("propensity_score: expected a probability above 0")
        return row["item_id"], row["position"], propensity

    return policy_table(parsed_rows(log.path, entry_of, BadRows(), first_line=2))


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


def _events(
    logs: Sequence[_Log],
    item_context: Path | None,
    others: Mapping[str, _Target],
    bad_rows: BadRows,
) -> Iterator[Event]:
    shown_by_log = [_impressions(log, others.get(log.policy), bad_rows) for log in logs]
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


def _impressions(log: _Log, other: _Target | None, bad_rows: BadRows) -> Iterator[_Pair]:
    previous_ts_ms = 0

    def pair_of(line_number: int, line: str) -> _Pair:
        nonlocal previous_ts_ms
        pair = _pair(log, line_number - 2, _row(log.columns, line), other)
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


def _pair(log: _Log, row_number: int, row: dict[str, str], other: _Target | None) -> _Pair:
    features = {name: row[name] for name in log.columns if name.startswith(_USER_FEATURE)}
    user = _user(features.values())
    context: dict[str, Any] = {"position": whole_number(row["position"], "position"), **features}
    targets = None
    if other is not None:
        # What the other policy never showed there is taken for what it would not show.
        probability = other.probability_of.get((row["item_id"], row["position"]), 0.0)
        targets = {other.policy: [probability]}
    impression = Impression(
        request_id=f"{log.stem}-{row_number}",
        user=user,
        items=[id_of(row["item_id"], "item_id")],
        ts=row["timestamp"],
        propensities=[_number(row["propensity_score"], "propensity_score")],
        policy=log.policy,
        context=context,
        targets=targets,
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
