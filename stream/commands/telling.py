"""What the log says goes to the terminal too: alerts and reactions, as they happen."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from stream.announcing import LOGGER
from stream.commands.terminal import Terminal

_STYLES = {logging.WARNING: "bold yellow"}


@contextmanager
def alerts_on(terminal: Terminal) -> Iterator[None]:
    """Print what is logged of alerts for the length of a `with` block."""
    handler = _TerminalHandler(terminal)
    level_before = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level_before)


class _TerminalHandler(logging.Handler):
    """Lines above the progress, one for each record."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.INFO)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        line = Text(record.getMessage(), _STYLES.get(record.levelno, "dim"))
        self._terminal.err.print(line, soft_wrap=True)
