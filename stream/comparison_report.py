"""`compare.html`: what a comparison came to, in one file that needs no network."""

from importlib.metadata import version
from pathlib import Path

from stream.durable import write_durably
from stream.reporting.comparison_page import comparison_page
from stream.values import Record


def write_comparison(record: Record, to: Path) -> Path:
    """Write the page of a comparison; the file that was written.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    html = comparison_page(record, version("freshrank"))
    write_durably(to, html.encode("utf-8", "replace"))
    return to
