"""Who asks: what a context holds of it, when, and what is left of it afterwards."""

import math

import numpy as np
import pytest

from stream.askers import AskerReader
from stream.catalogue import Catalogue, CatalogueConfig
from stream.contexts import Asked, ContextBuilder
from stream.events import Click, Event, Forget, Impression, Item, User
from stream.histories import Histories, HistoriesConfig
from stream.input_settings import InputsConfig
from stream.values import Batch, Queries
from tests.batches import batch_of_events
from tests.conformance.stateful_contract import StatefulContract, assert_same_bits

HOUR_MS = 3_600_000
INPUTS = InputsConfig.model_validate(
    {
        "context": {"device": "category", "load": "number"},
        "clock": ["day"],
        "profile": {"words": 2, "values": 2, "attributes": {"age": "number"}},
    }
)
N_PROFILE = 4  # columns of tokens


class Loop:
    """Contexts alone: what is asked, batch by batch."""

    def __init__(self, inputs: InputsConfig = INPUTS, max_users: int = 100) -> None:
        self.histories = Histories(HistoriesConfig(max_users=max_users), 8)
        self.askers = AskerReader(inputs, self.histories)
        self.contexts = ContextBuilder(
            Catalogue(CatalogueConfig()), self.histories, Asked(8, 5, False), self.askers
        )
        self.seq = 0

    def prepare(self, *events: Event) -> Queries:
        return self.contexts.prepare(self.read(*events))

    def read(self, *events: Event) -> Batch:
        return self.contexts.read(batch_of_events(events, self.seq))

    def take(self, *events: Event) -> Queries:
        batch = self.read(*events)
        queries = self.contexts.prepare(batch)
        self.contexts.advance(batch)
        self.seq += 1
        return queries


def tokens(queries: Queries) -> list[list[int]]:
    """Of each click, what is known of who clicks."""
    askers = queries.contexts.askers
    assert askers is not None
    return askers.token_CX[queries.context_of_B].tolist()


def numbers(queries: Queries) -> list[list[float]]:
    askers = queries.contexts.askers
    assert askers is not None
    return askers.number_CF[queries.context_of_B].tolist()


def profiles(queries: Queries) -> list[bool]:
    """Of each click, whether anything of a profile is known."""
    return [max(row[:N_PROFILE]) >= 0 for row in tokens(queries)]


def click(user: str, ts: int, item: str = "i1", **context: object) -> Click:
    return Click(user, item, ts, context=context or None)


def test_without_declarations_contexts_say_nothing_and_nothing_is_kept():
    histories = Histories(HistoriesConfig(), 8)
    contexts = ContextBuilder(Catalogue(CatalogueConfig()), histories, Asked(8, 5, False))
    batch = contexts.read(batch_of_events([click("ann", 5, device="phone"), User("bob", 6, "tea")]))
    assert batch.clicks.context_B is None
    assert contexts.prepare(batch).contexts.askers is None
    contexts.advance(batch)
    assert histories.rows(["ann", "bob"]).tolist() == [0, -1]


def test_an_answer_changes_nothing_of_who_asks():
    """Other items, other titles: the same columns."""
    told = (User("ann", 1, "tea", {"age": 31}), User("bob", 1, "go"))
    found = []
    for item in ("i1", "i2"):
        loop = Loop()
        loop.take(*told, Item("i1", 2, "tea"), Item("i2", 2, "go"), click("ann", 3, item, load=1))
        asked = loop.take(
            click("ann", 8, item, device="phone", load=3, clicked=item, price=item[1:]),
            click("bob", 9, item),
        )
        found.append(asked.contexts.askers)
    assert_same_bits(found[0], found[1])


def test_a_click_says_nothing_of_requests_that_come_with_it_or_later():
    alone = Loop().take(click("ann", 5, device="phone", load=2))
    beside = Loop().take(
        click("ann", 5, device="phone", load=2),
        click("ann", 6, "i2", device="tablet", load=9),
        click("bob", 7, device="desktop", load=90),
        User("ann", 5, "tea"),
        User("ann", 8, "go", {"age": 3}),
    )
    assert (tokens(alone)[0], numbers(alone)[0]) == (tokens(beside)[0], numbers(beside)[0])


def test_a_profile_counts_from_the_instant_after_it_on_in_its_own_batch_too():
    asked = Loop().take(User("ann", 5, "tea"), *(click("ann", ts) for ts in (4, 5, 6)))
    assert profiles(asked) == [False, False, True]


def test_a_profile_of_an_earlier_batch_is_not_known_to_a_late_click():
    loop = Loop()
    loop.take(User("ann", 5, "tea"))
    assert profiles(loop.take(click("ann", 4), click("ann", 6))) == [False, True]


def test_a_newer_profile_takes_over_where_it_comes():
    loop = Loop()
    loop.take(User("ann", 5, "tea", {"city": "Oslo"}))
    before, after = tokens(loop.take(click("ann", 6), User("ann", 7, "go"), click("ann", 8)))
    assert before[0] != after[0]
    assert before[2:] == after[2:], "what it does not name stays"
    assert tokens(loop.take(click("ann", 9))) == [after]


def test_a_user_without_any_click_has_a_profile():
    loop = Loop()
    loop.take(User("ann", 5, "tea"))
    asked = loop.take(click("ann", 9), click("bob", 9))
    assert asked.contexts.length_C.tolist() == [0, 0]
    assert profiles(asked) == [True, False]


def test_profiles_leave_with_the_row_of_their_user():
    loop = Loop(max_users=2)
    loop.take(User("ann", 5, "tea"))
    loop.take(click("bob", 6), click("eve", 7))
    assert profiles(loop.take(click("ann", 9))) == [False]
    state = loop.askers.state_dict()["profiles"]
    assert not state["since_ms"].any()
    assert not state["token"].any()


def test_whoever_takes_the_row_of_a_user_does_not_inherit_the_profile():
    loop = Loop(max_users=1)
    loop.take(User("ann", 5, "tea"))
    loop.take(click("bob", 6))
    assert profiles(loop.take(click("bob", 7))) == [False]


def test_a_profile_alone_may_take_a_row_and_inherits_nothing_either():
    loop = Loop(max_users=1)
    loop.take(User("ann", 5, "tea"))
    loop.take(User("eve", 8, None, {"city": "Oslo"}))
    assert tokens(loop.take(click("eve", 9)))[0][:2] == [-1, -1]


def test_as_many_profiles_as_there_are_rows_are_kept_of_a_batch_of_many():
    loop = Loop(max_users=3)
    loop.take(*(User(f"u{n}", 5, "tea") for n in range(10)))
    asked = loop.take(*(click(f"u{n}", 9) for n in range(10)))
    assert profiles(asked) == [False] * 7 + [True] * 3


def test_who_asks_to_be_forgotten_has_no_profile_but_what_was_told_later():
    loop = Loop()
    loop.take(User("ann", 5, "tea"), User("bob", 5, "tea"), User("eve", 5, "tea"))
    loop.take(Forget("ann", 6), User("bob", 6, "go"), Forget("bob", 7), Forget("eve", 7))
    assert profiles(loop.take(*(click(user, 8) for user in ("ann", "bob", "eve")))) == [False] * 3
    loop.take(Forget("eve", 9), User("eve", 10, "go"))
    assert profiles(loop.take(click("eve", 11))) == [True]
    assert np.count_nonzero(loop.askers.state_dict()["profiles"]["since_ms"]) == 1


def test_numbers_are_scaled_by_what_came_in_earlier_batches():
    loop = Loop()
    first = loop.take(click("ann", 5, load=10), click("bob", 6, load=20))
    second = loop.take(click("ann", 7, "i2", load=20), click("bob", 8, "i2", load=1e9))
    assert [row[1] for row in numbers(first)] == [0, 0]
    assert [row[1] for row in numbers(second)] == [1, 5]


def test_the_hour_of_the_day_is_the_time_of_the_request():
    morning, evening, next_day = numbers(
        Loop().take(*(click("ann", h * HOUR_MS, f"i{h}") for h in (6, 18, 30)))
    )
    assert morning == pytest.approx(next_day)
    assert morning[2:4] == pytest.approx([1, 0], abs=1e-6)
    assert evening[2:4] == pytest.approx([-1, 0], abs=1e-6)


def test_weeks_begin_on_monday():
    inputs = InputsConfig(clock=("week",))
    monday_ms = 4 * 24 * HOUR_MS
    first, second = numbers(
        Loop(inputs).take(click("ann", monday_ms), click("ann", monday_ms + 7 * 24 * HOUR_MS, "i2"))
    )
    assert first == second == [0, 1, 0, 1, 0, 1]


def test_lists_carry_what_their_requests_did():
    asked = Loop().take(
        User("ann", 1, "tea"),
        Impression("r1", "ann", ["i1"], 5, context={"device": "phone", "load": 3}),
        Impression("r2", "bob", ["i1"], 5, context={"device": "phone"}),
        Impression("r3", "ann", ["i1"], 5),
    )
    assert asked.shown is not None
    askers = asked.shown.contexts.askers
    assert askers is not None
    ann, bob, without = askers.token_CX[asked.shown.context_of_N].tolist()
    assert ann[N_PROFILE] == bob[N_PROFILE] >= 0 > without[N_PROFILE]
    assert ann[:N_PROFILE] == without[:N_PROFILE] != bob[:N_PROFILE]


def test_the_context_of_a_list_without_its_own_click_says_who_asks():
    loop = Loop()
    loop.take(Item("i1", 1), User("ann", 1, "tea"))
    asked = loop.prepare(
        Impression("r1", "ann", ["i1"], 6, context={"device": "phone"}),
        replace_request(click("ann", 5), "r1"),
    )
    assert asked.shown is not None
    askers = asked.shown.contexts.askers
    assert askers is not None
    row = asked.shown.context_of_N[0]
    assert asked.shown.contexts.length_C[row] == 0
    assert min(askers.token_CX[row, [0, N_PROFILE]]) >= 0


def replace_request(one: Click, request: str) -> Click:
    return Click(one.user, one.item, one.ts, request)


def test_requests_that_differ_in_what_they_carry_are_contexts_of_their_own():
    inputs = InputsConfig.model_validate({"context": {"device": "category"}})
    alike = [click("ann", 5, item, device=device) for item, device in ("ap", "bp", "ct", "dp")]
    asked = Loop(inputs).take(*alike)
    assert len(asked.contexts.length_C) == 2
    assert asked.context_of_B[[0, 1, 3]].tolist() == [asked.context_of_B[0]] * 3


@pytest.mark.parametrize(
    "context",
    [
        {"device": {"a": 1}, "load": "high"},
        {"device": None, "load": math.nan},
        {"load": 1e300},
        {"load": 10**15 + 1, "other": "x" * 10_000},
        {},
    ],
)
def test_a_click_that_carries_rubbish_is_asked_as_one_that_carries_nothing(context):
    plain, odd = Loop(), Loop()
    assert_same_bits(odd.take(click("ann", 5, **context)), plain.take(click("ann", 5)))
    assert_same_bits(odd.askers.state_dict(), plain.askers.state_dict())


def test_a_clock_alone_gives_users_with_a_profile_no_row():
    loop = Loop(InputsConfig(clock=("day",)))
    loop.take(User("ann", 5, "tea"))
    assert len(loop.histories) == 0


class TestAskersState(StatefulContract):
    @staticmethod
    def make() -> Loop:
        return Stateful()

    @staticmethod
    def drive(loop: "Stateful", step: int) -> object:
        events: list[Event] = [
            click(f"u{n}", 10 * step + n, load=step * n, device=f"d{n}") for n in range(4)
        ]
        events.append(User(f"u{step % 3 + 2}", 10 * step + 1, f"w{step}", {"age": step, "x": step}))
        if step == 3:
            events.append(Forget("u2", 10 * step))
        return loop.take(*events)


class Stateful(Loop):
    """The tables of a loop as one."""

    def __init__(self) -> None:
        super().__init__(max_users=4)

    def state_dict(self) -> dict[str, object]:
        return {
            "schema_version": 1,
            "catalogue": self.contexts._catalogue.state_dict(),
            "histories": self.histories.state_dict(),
            "askers": self.askers.state_dict(),
        }

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        self.contexts._catalogue.load_state_dict(state["catalogue"])
        self.histories.load_state_dict(state["histories"])
        self.askers.load_state_dict(state["askers"])
