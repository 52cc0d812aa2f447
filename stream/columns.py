"""Events of a batch as columns, by event time.

# B clicks, N lists shown, S items of those lists end to end
"""

from collections.abc import Mapping, Sequence
from itertools import chain, compress
from typing import Any, cast

import numpy as np

from stream.events import Click, Event, Impression
from stream.values import Clicks, Impressions, no_impressions

Origins = Sequence[str] | None
_Contexts = list[Mapping[str, Any] | None] | None


def to_columns(
    events: Sequence[Event], origins: Origins = None
) -> tuple[Clicks, Impressions, tuple[Event, ...]]:
    """Clicks and lists shown as columns, and all other events; each by time, ties as they came.

    Parameters
    ----------
    events : sequence of Event
        Normalised, in order of arrival.
    origins : sequence of str, optional
        Where each of them came from.

    Examples
    --------
    >>> clicks, _, others = to_columns([Click("u", "late", 9), Click("u", "early", 5)])
    >>> clicks.item_B, clicks.ts_B.tolist(), others
    (['early', 'late'], [5, 9], ())
    """
    ts_N = np.fromiter((event.ts for event in events), np.int64, len(events))
    if (ts_N[1:] < ts_N[:-1]).any():
        order_N = np.argsort(ts_N, kind="stable").tolist()
        events = [events[i] for i in order_N]
        origins = None if origins is None else [origins[i] for i in order_N]
    kinds = {type(event) for event in events}
    if not kinds - {Click}:
        return click_columns(cast("Sequence[Click]", events), origins), no_impressions(), ()
    clicks, click_origins = _of_type(Click, events, origins)
    lists, list_origins = _of_type(Impression, events, origins)
    return (
        click_columns(cast("Sequence[Click]", clicks), click_origins),
        impression_columns(cast("Sequence[Impression]", lists), list_origins),
        tuple(
            event for event in events if type(event) is not Click and type(event) is not Impression
        ),
    )


def click_columns(clicks: Sequence[Click], origins: Origins) -> Clicks:
    """Clicks as columns, in the order given."""
    session_B = cast("list[str | None]", [click.session for click in clicks])
    request_B = cast("list[str | None]", [click.request_id for click in clicks])
    return Clicks(
        user_B=cast("list[str]", [click.user for click in clicks]),
        item_B=cast("list[str]", [click.item for click in clicks]),
        ts_B=np.fromiter((click.ts for click in clicks), np.int64, len(clicks)),
        session_B=None if session_B.count(None) == len(session_B) else session_B,
        origin_B=None if origins is None else list(origins),
        request_B=None if request_B.count(None) == len(request_B) else request_B,
        context_B=_contexts(clicks),
    )


def impression_columns(lists: Sequence[Impression], origins: Origins) -> Impressions:
    """Lists shown as columns, in the order given."""
    if not lists:
        return no_impressions()
    starts = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(shown.items) for shown in lists], out=starts[1:])
    propensity_S = np.full(starts[-1], np.nan)
    for n, shown in enumerate(lists):
        if shown.propensities is not None:
            propensity_S[starts[n] : starts[n + 1]] = shown.propensities
    return Impressions(
        request_N=cast("list[str]", [shown.request_id for shown in lists]),
        user_N=cast("list[str]", [shown.user for shown in lists]),
        ts_N=np.fromiter((shown.ts for shown in lists), np.int64, len(lists)),
        starts=starts,
        item_S=cast("list[str]", list(chain.from_iterable(shown.items for shown in lists))),
        propensity_S=propensity_S,
        policy_N=[shown.policy for shown in lists],
        origin_N=None if origins is None else list(origins),
        context_N=_contexts(lists),
    )


def _contexts(events: Sequence[Click] | Sequence[Impression]) -> _Contexts:
    """What each request carried, None if none carried anything."""
    contexts: list[Mapping[str, Any] | None] = [event.context for event in events]
    return None if contexts.count(None) == len(contexts) else contexts


def _of_type(
    kind: type[Event], events: Sequence[Event], origins: Origins
) -> tuple[list[Event], Origins]:
    is_kind_N = [type(event) is kind for event in events]
    chosen = None if origins is None else list(compress(origins, is_kind_N))
    return list(compress(events, is_kind_N)), chosen
