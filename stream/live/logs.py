"""The log: every logger's lines in one form, as JSON objects or for people, and no secrets in them.

Code logs through `logging.getLogger(...)` or `structlog.get_logger(...)`. What happens to a line
on its way out is decided here, once, by the process that owns the log.
"""

import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from stream.live.redaction import Redaction, bears_credentials
from stream.live.settings import Level, LogConfig
from stream.live.throttle import Throttle

_LEVELS: Mapping[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

# The Kafka client tells of every connection it makes.
_CHATTY = ("kafka",)

# Logs each request and its bytes: what users clicked, and what the client authenticates with.
_NEVER_BELOW_INFO = ("kafka.protocol.parser",)

# Innermost frames are the ones cut off, and no local variable is shown: they hold anything.
_TRACEBACK_FRAMES = 60

_UNCAUGHT = logging.getLogger("freshrank.threads")

_installed: list[logging.Handler] = []


def configure_logs(
    config: LogConfig, stream: TextIO | None = None, secrets: Iterable[str] = ()
) -> None:
    """Send what every logger says to one stream, in one form.

    Warnings and what threads die of go the same way. The loggers of libraries that write by
    themselves are taken over, those that exist by now; `adopt_loggers` is for those that come
    later. Called again, it takes the place of the call before.

    Parameters
    ----------
    config : LogConfig
        The form, and the least level that is written.
    stream : text file, optional
        Standard error unless told; colours only where it is a terminal.
    secrets : iterable of str
        Passwords and tokens in use: masked wherever they occur. Credentials that the Kafka client
        logs are kept out without being named here.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.addFilter(lambda record: not bears_credentials(record))
    handler.addFilter(Throttle(_CHATTY[0]))
    handler.setFormatter(_formatter(config, stream, Redaction(secrets)))
    root = logging.getLogger()
    for earlier in _installed:
        root.removeHandler(earlier)
    _installed[:] = [handler]
    root.addHandler(handler)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught
    set_level(config.level)


def set_level(level: Level) -> None:
    """From now on write what is at least as grave as this."""
    number = _LEVELS[level]
    logging.getLogger().setLevel(number)
    for name in _CHATTY:
        # Not below a level that hides warnings.
        chatty = number if level == "debug" else max(number, logging.WARNING)
        logging.getLogger(name).setLevel(chatty)
    for name in _NEVER_BELOW_INFO:
        logging.getLogger(name).setLevel(max(number, logging.INFO))
    adopt_loggers()


def adopt_loggers() -> None:
    """Let the loggers of libraries that bring handlers of their own write here instead.

    Such loggers, torch's and transformers' among them, come into being as their library is
    imported: to be called again after that.
    """
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger):
            continue  # a place in the tree without a logger
        if any(_writes_to_terminal(handler) for handler in logger.handlers):
            for handler in list(logger.handlers):
                if _writes_to_terminal(handler):
                    logger.removeHandler(handler)
            logger.propagate = True


def _writes_to_terminal(handler: logging.Handler) -> bool:
    # torch has a handler of its own making, with no stream to look at.
    if type(handler).__name__ == "_StderrHandler":
        return True
    return (
        isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
        and getattr(handler, "stream", None) in (sys.stderr, sys.stdout, sys.__stderr__)
    )


def _formatter(config: LogConfig, stream: TextIO, redaction: Redaction) -> logging.Formatter:
    """The way of a record: to plain fields, without secrets, into a line."""
    is_json = config.format == "json"
    tell_error: Processor
    render: Processor
    if is_json:
        tell_error = structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(
                show_locals=False, max_frames=_TRACEBACK_FRAMES
            )
        )
        render = structlog.processors.JSONRenderer(default=str)
    else:
        tell_error = structlog.processors.ExceptionRenderer()
        render = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            pad_event_to=0,
            sort_keys=False,
            timestamp_key="ts",
            exception_formatter=structlog.dev.plain_traceback,
        )
    processors: list[Processor] = [
        _fields,
        tell_error,
        structlog.processors.StackInfoRenderer(),
        redaction,
    ]
    if not is_json:
        processors.append(_on_one_line)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[*processors, render],
    )


# What formatters leave on a record: those of other handlers as well.
_OF_LOGGING = ("_from_structlog", "message", "asctime")


def _fields(logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    """When, how grave, who, what; then the rest."""
    record: logging.LogRecord = event.pop("_record")
    for own in _OF_LOGGING:
        event.pop(own, None)
    head: dict[str, Any] = {
        "ts": _iso(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event"),
    }
    rest = {f"{key}_" if key in head else key: value for key, value in event.items()}
    return head | rest


def _iso(created_s: float) -> str:
    time_of_day = datetime.fromtimestamp(created_s, UTC)
    return time_of_day.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Tracebacks and stacks are made here, and are meant to have lines.
_MANY_LINES = ("exception", "stack")

# What moves a cursor or ends a line: what came from outside could write lines of its own with it.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


def _on_one_line(logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    return {
        key: value.rstrip("\n").translate(_CONTROLS)
        if isinstance(value, str) and key not in _MANY_LINES
        else value
        for key, value in event.items()
    }


def _log_uncaught(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    info: tuple[type[BaseException], BaseException, TracebackType | None] = (
        args.exc_type,
        args.exc_value,
        args.exc_traceback,
    )
    name = args.thread.name if args.thread is not None else "unknown"
    _UNCAUGHT.error("thread %s ended with an error", name, exc_info=info)
