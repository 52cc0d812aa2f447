from stream.joining.closed_requests import ClosedRequests
from tests.conformance.stateful_contract import StatefulContract


def test_it_knows_how_a_request_was_closed():
    closed = ClosedRequests(capacity=9)
    closed.add(["r1"], "matured")
    closed.add(["r2"], "orphan")
    assert [closed.closing(name) for name in ("r1", "r2", "r3")] == ["matured", "orphan", None]
    assert "r2" in closed
    assert "r3" not in closed


def test_those_closed_longest_ago_are_forgotten_and_only_when_trimmed():
    closed = ClosedRequests(capacity=2)
    closed.add(["b", "a", "c"], "matured")
    assert "b" in closed
    closed.trim()
    assert [name in closed for name in "abc"] == [True, False, True]


class TestClosedRequestsState(StatefulContract):
    make = staticmethod(lambda: ClosedRequests(capacity=3))

    @staticmethod
    def drive(obj: ClosedRequests, step: int) -> object:
        obj.add([f"r{step}", f"q{step}"], "orphan" if step % 2 else "matured")
        obj.trim()
        return [obj.closing(f"{kind}{n}") for kind in "rq" for n in range(step + 1)]
