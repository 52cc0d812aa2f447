"""Where time goes: methods of living objects are timed, each within whoever called it.

>>> watch = Stopwatch()
>>> with watch.part("learn"), watch.part("backward"):
...     pass
>>> list(watch.seconds)
[('learn', 'backward'), ('learn',)]
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds by path: of a part, and of the parts within it.

    Where a GPU works the clock waits for it, so that a part is charged with what it asked for; that
    costs some of the overlap that the loop has otherwise.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.seconds: Counter[tuple[str, ...]] = Counter()
        self._path: tuple[str, ...] = ()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        outer, self._path = self._path, (*self._path, name)
        started_s = self._now_s()
        try:
            yield
        finally:
            self.seconds[self._path] += self._now_s() - started_s
            self._path = outer

    def around(self, owner: Any, method: str, name: str) -> None:
        """Time each call of a method, or of a module's function, from now on."""
        setattr(owner, method, self._timed(getattr(owner, method), name))

    @contextmanager
    def lent(self, owner: Any, method: str, name: str) -> Iterator[None]:
        """The same, until the end of the block."""
        original = getattr(owner, method)
        self.around(owner, method, name)
        try:
            yield
        finally:
            setattr(owner, method, original)

    def _timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            with self.part(name):
                return call(*args, **named)

        return timed

    def lines(self, total_s: float) -> list[str]:
        """Shares of the total, the largest first, each above those of its own parts."""
        return [
            f"{'  ' * (len(path) - 1)}{path[-1]:{34 - 2 * len(path)}}{seconds / total_s:7.1%}"
            for path, seconds in self._ordered(())
        ]

    def _ordered(self, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
        own = [path for path in self.seconds if path[:-1] == above]
        for path in sorted(own, key=lambda path: -self.seconds[path]):
            yield path, self.seconds[path]
            yield from self._ordered(path)
