import io
import logging

from rich.console import Console

from stream.announcing import LOGGER
from stream.commands.telling import alerts_on
from stream.commands.terminal import Terminal


def test_what_is_logged_of_alerts_is_printed_while_the_block_lasts():
    text = io.StringIO()
    terminal = Terminal(out=Console(), err=Console(file=text, width=20), args=())
    with alerts_on(terminal):
        LOGGER.info("alert [red]recall_low is pending, and this line is long")
        LOGGER.warning("alert recall_low is firing")
    LOGGER.warning("nobody hears this")
    assert text.getvalue().splitlines() == [
        "alert [red]recall_low is pending, and this line is long",
        "alert recall_low is firing",
    ]
    assert LOGGER.handlers == []
    assert LOGGER.level == logging.NOTSET
