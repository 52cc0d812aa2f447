"""`report.html`: what a run came to, in one file that needs no network."""

from importlib.metadata import version
from pathlib import Path

from stream.config import FreshrankConfig
from stream.durable import write_durably
from stream.reporting.page import report_page
from stream.reporting.run_data import read_run

REPORT_FILE = "report.html"


def write_report(out: Path, truth: Path | None = None, to: Path | None = None) -> Path:
    """Read what a run wrote into its folder and write its report.

    A run that still goes on has a report, too: of what it has written so far. Equal folders give
    equal reports.

    Parameters
    ----------
    out : Path
        The folder of the run.
    truth : Path, optional
        The simulation's `truth.jsonl`, to mark what is known to have changed.
    to : Path, optional
        Where to write; `report.html` in the folder otherwise.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        If the folder holds no run, or nothing in it can be read.
    SinkError
        If the report cannot be written.
    """
    run = read_run(out, truth)
    html = report_page(run, FreshrankConfig().model_dump(mode="json"), version("freshrank"))
    path = out / REPORT_FILE if to is None else to
    write_durably(path, html.encode("utf-8", "replace"))
    return path
