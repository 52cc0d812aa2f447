"""The join written down plainly: event by event, over and over through every list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream.events import Click, Conversion, Event, Feedback, Impression
from stream.joiner import JoinerConfig


@dataclass
class Unit:
    """A clicked item as it was scored: on a list, or (without a position) on none."""

    item: str
    position: int = 0
    told: float | None = None
    is_converted: bool = False
    is_over: bool = False

    @property
    def name(self) -> tuple[str, int]:
        return self.item, self.position


@dataclass
class List:
    request: str
    user: str
    items: list[str]
    ts: int
    arrival: int
    clicked: set[str] = field(default_factory=set)
    told: list[float] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)


@dataclass
class Waiting:
    click: Click
    arrival: int
    values: list[float] = field(default_factory=list)
    converted_at: int | None = None
    unit: Unit | None = None

    @property
    def key(self) -> tuple[int, int]:
        return int(self.click.ts), self.arrival


@dataclass
class Answer:
    """What one batch comes to."""

    clicks: list[Click]
    n_refused: int
    matured: list[tuple[int, str, list[bool]]]
    conversions: list[tuple[int, bool, float]]
    counts: dict[str, int]
    presumed: list[tuple[str, int]]
    converted: list[tuple[str, int]]
    predicted: list[tuple[int, bool, float | None]]


class PlainJoiner:
    def __init__(self, config: JoinerConfig) -> None:
        self.config = config
        self.lists: list[List] = []
        self.closed: list[tuple[str, str]] = []
        self.held: list[Waiting] = []
        self.remembered: list[Waiting] = []
        self.counts: dict[str, int] = {}
        self.watermark = 0
        self.newest: int | None = None
        self.n_arrived = 0
        self.is_remembering = False
        self.has_conversions = False
        self.n_steps = 0

    def step(self, events: Sequence[Event]) -> Answer:
        is_telling = self.has_conversions and self.counts.get("impressions", 0) > 0
        self.presumed: list[Unit] = []
        self.converted: list[Unit] = []
        self.predicted: list[tuple[int, bool, float | None]] = []
        self.n_told = 0
        events = sorted(events, key=lambda event: event.ts)
        before = self.watermark
        self.watermark = max([before, *(int(event.ts) for event in events)])
        n_refused = self.take_lists([e for e in events if isinstance(e, Impression)], before)
        clicks = self.take_clicks([e for e in events if isinstance(e, Click)])
        units = [self.judge(click, is_telling) for click in clicks]
        sequels = [e for e in events if isinstance(e, Conversion | Feedback)]
        if sequels:
            self.is_remembering = True
        if self.is_remembering:
            self.remembered += [
                Waiting(click, self.arrival(), unit=unit)
                for click, unit in zip(clicks, units, strict=True)
            ]
        for event in sequels:
            if isinstance(event, Conversion):
                self.convert(event)
            else:
                self.feed_back(event)
        self.has_conversions |= any(isinstance(event, Conversion) for event in sequels)
        converted = self.mature_clicks()
        told = converted if self.has_conversions else []
        answer = Answer(
            clicks,
            n_refused,
            self.mature(),
            told,
            self.counts,
            [unit.name for unit in self.presumed],
            [unit.name for unit in self.converted],
            self.predicted,
        )
        self.n_steps += 1
        self.closed = self.closed[-self.config.max_pending :]
        self.counts["pending_impressions"] = len(self.lists)
        self.counts["held_clicks"] = len(self.held)
        return answer

    def count(self, name: str, n: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + n

    def arrival(self) -> int:
        self.n_arrived += 1
        return self.n_arrived

    def take_lists(self, events: Sequence[Impression], before: int) -> int:
        n_refused = 0
        for event in events:
            request, ts = str(event.request_id), int(event.ts)
            is_open = any(shown.request == request for shown in self.lists)
            if (request, "orphan") in self.closed:
                self.count("late_impressions")
            elif is_open or (request, "matured") in self.closed:
                self.count("repeated_requests")
            elif ts + self.config.attribution_window <= before or self.is_answered(event):
                self.count("late_impressions")
            else:
                items = [str(item) for item in event.items]
                shown = List(request, str(event.user), items, ts, self.arrival())
                shown.told = [
                    (1 + self.n_told + n) / (20_000 + 1_000 * self.n_steps)
                    for n in range(len(items))
                ]
                self.n_told += len(items)
                self.lists.append(shown)
                self.count("impressions")
                self.count("shown_items", len(items))
                self.newest = ts if self.newest is None else max(self.newest, ts)
                self.is_remembering = True
                continue
            n_refused += 1
        return n_refused

    def is_answered(self, event: Impression) -> bool:
        """Whether a click of an earlier batch that names no request would be one on this list."""
        until = int(event.ts) + min(self.config.attribution_window, self.config.conversion_window)
        return any(
            waiting.click.request_id is None
            and waiting.click.user == event.user
            and waiting.click.item in event.items
            and int(event.ts) <= int(waiting.click.ts) <= until
            for waiting in self.remembered
        )

    def take_clicks(self, events: Sequence[Click]) -> list[Click]:
        """The clicks whose turn it is."""
        candidates = self.held + [Waiting(event, self.arrival()) for event in events]
        known = {shown.request for shown in self.lists} | {name for name, _ in self.closed}
        early = [c for c in candidates if c.click.request_id not in {None, *known}]
        is_flowing = (
            self.newest is not None
            and self.watermark < self.newest + self.config.attribution_window
        )
        early.sort(key=lambda c: c.key)
        for waiting in list(early):
            waited = self.watermark - int(waiting.click.ts) >= self.config.early_wait
            if waited or not is_flowing:
                early = self.give_up(early, waiting)
        while len(early) > self.config.max_pending:
            early = self.give_up(early, early[0])
        self.held = early
        taken = [c for c in candidates if all(c is not waiting for waiting in early)]
        return [c.click for c in sorted(taken, key=lambda c: c.key)]

    def give_up(self, early: list[Waiting], given_up: Waiting) -> list[Waiting]:
        request = str(given_up.click.request_id)
        if (request, "orphan") not in self.closed:
            self.closed.append((request, "orphan"))
        return [waiting for waiting in early if waiting.click.request_id != request]

    def judge(self, click: Click, is_telling: bool) -> Unit | None:
        """Count a click; what is kept of it as it was scored."""
        item = str(click.item)
        self.met: List | None = None
        verdict = self.verdict(click)
        self.count(verdict)
        if not is_telling:
            return None
        if verdict == "repeated_clicks":
            assert self.met is not None
            return self.met.units.get(item)
        if verdict != "joined_clicks":
            self.presumed.append(Unit(item))
            return self.presumed[-1]
        assert self.met is not None
        place = self.met.items.index(item)
        unit = self.met.units[item] = Unit(item, 1 + place, self.met.told[place])
        return unit

    def verdict(self, click: Click) -> str:
        ts = int(click.ts)
        if click.request_id is None:
            shown = self.latest_showing(str(click.user), str(click.item), ts)
            if shown is None:
                return "organic_clicks"
        else:
            named = [shown for shown in self.lists if shown.request == click.request_id]
            if not named:
                is_matured = (click.request_id, "matured") in self.closed
                return "late_clicks" if is_matured else "orphan_clicks"
            shown = named[0]
            if shown.user != click.user:
                return "orphan_clicks"
            if ts > shown.ts + self.config.attribution_window:
                return "late_clicks"
            if click.item not in shown.items:
                return "clicks_not_shown"
        self.met = shown
        if click.item in shown.clicked:
            return "repeated_clicks"
        shown.clicked.add(str(click.item))
        if ts < shown.ts:
            self.count("clicks_before_impression")
        return "joined_clicks"

    def latest_showing(self, user: str, item: str, ts: int) -> List | None:
        found = [
            shown
            for shown in self.lists
            if shown.user == user
            and item in shown.items
            and shown.ts <= ts <= shown.ts + self.config.attribution_window
        ]
        return max(found, key=lambda shown: (shown.ts, shown.arrival), default=None)

    def followed(self, event: Conversion | Feedback) -> list[Waiting]:
        """The clicks that an event may follow, the latest last."""
        request = event.request_id if isinstance(event, Conversion) else None
        found = [
            waiting
            for waiting in self.remembered
            if (waiting.click.user, waiting.click.item) == (event.user, event.item)
            and waiting.click.ts <= event.ts
            and (None in (request, waiting.click.request_id) or waiting.click.request_id == request)
        ]
        return sorted(found, key=lambda waiting: waiting.key)

    def in_time(self, found: list[Waiting], ts: int) -> list[Waiting]:
        window = self.config.conversion_window
        return [waiting for waiting in found if ts <= int(waiting.click.ts) + window]

    def convert(self, event: Conversion) -> None:
        found = self.followed(event)
        in_time = self.in_time(found, int(event.ts))
        if in_time and in_time[-1].converted_at == event.ts:
            self.count("repeated_conversions")
        elif in_time:
            in_time[-1].values.append(event.value or 0.0)
            in_time[-1].converted_at = int(event.ts)
            unit = in_time[-1].unit
            if unit is not None and not unit.is_converted and not unit.is_over:
                unit.is_converted = True
                self.converted.append(unit)
            self.count("joined_conversions")
        else:
            self.count("late_conversions" if found else "orphan_conversions")

    def feed_back(self, event: Feedback) -> None:
        is_shown = self.latest_showing(str(event.user), str(event.item), int(event.ts)) is not None
        if is_shown or self.in_time(self.followed(event), int(event.ts)):
            self.count(f"feedback_{event.kind}")
        else:
            self.count("orphan_feedback")

    def mature(self) -> list[tuple[int, str, list[bool]]]:
        window, most = self.config.attribution_window, self.config.max_pending
        self.lists.sort(key=lambda shown: (shown.ts, shown.arrival))
        over = []
        while self.lists:
            oldest = self.lists[0]
            is_due = oldest.ts + window <= self.watermark
            n_items = sum(len(shown.items) for shown in self.lists)
            if not is_due and len(self.lists) <= most and n_items <= 32 * most:
                break
            self.count("matured_early", 0 if is_due else 1)
            over.append((min(oldest.ts + window, self.watermark), self.lists.pop(0)))
        over.sort(key=lambda pair: (pair[0], pair[1].arrival))
        self.closed += [(shown.request, "matured") for _, shown in over]
        return [
            (ts, shown.request, [item in shown.clicked for item in shown.items])
            for ts, shown in over
        ]

    def mature_clicks(self) -> list[tuple[int, bool, float]]:
        window, most = self.config.conversion_window, self.config.max_pending
        self.remembered.sort(key=lambda waiting: waiting.key)
        over = []
        while self.remembered:
            oldest = self.remembered[0]
            is_due = int(oldest.click.ts) + window <= self.watermark
            if not is_due and len(self.remembered) <= most:
                break
            self.count("conversions_matured_early", 0 if is_due else 1)
            ts = min(int(oldest.click.ts) + window, self.watermark)
            over.append((ts, self.remembered.pop(0)))
        over.sort(key=lambda pair: (pair[0], pair[1].arrival))
        for ts, waiting in over:
            unit = waiting.unit
            if unit is not None and not unit.is_over:
                unit.is_over = True
                if unit.position:
                    self.predicted.append((ts, unit.is_converted, unit.told))
        return [(ts, bool(waiting.values), sum(waiting.values)) for ts, waiting in over]
