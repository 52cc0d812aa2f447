import pytest

from stream.errors import SinkError, UsageError
from stream.replay import Replay, run_replay
from stream.report import REPORT_FILE, write_report
from stream.run_folder import resolved
from stream.sources.batching import BatchConfig
from stream.sources.file import FileSource, FileSourceConfig
from tests.runs import small_config, write_shop
from tests.stream.reporting.rich_run import write_rich_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a small run that really took place."""
    folder = tmp_path_factory.mktemp("report")
    events = write_shop(folder / "events.jsonl", 600)
    with events.open("ab") as file:
        file.write(b'</script><script>alert("buried")</script>\n')
    config = resolved(small_config(), folder / "run", resume=False)
    source = FileSource(FileSourceConfig(), [str(events)], BatchConfig(events=32))
    run_replay(Replay(config, source, folder / "run"))
    return folder / "run"


def test_a_run_gets_its_report_into_its_folder(finished):
    path = write_report(finished)
    assert path == finished / REPORT_FILE
    html = path.read_text(encoding="utf-8")
    for expected in ("plot-recall", "plot-difference", "session_knn", "batch.events"):
        assert expected in html
    assert '<ul class="notes">' not in html


def test_what_was_buried_stays_text(finished):
    html = write_report(finished).read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;script&gt;alert(&quot;buried&quot;)&lt;/script&gt;" in html
    assert '<script>alert("buried")' not in html


def test_equal_folders_give_equal_reports(finished):
    assert write_report(finished).read_bytes() == write_report(finished).read_bytes()


def test_the_report_of_a_run_that_goes_on_says_so(finished, tmp_path):
    raw = (finished / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(raw[:-40])
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert "summary.json is missing: the run has not finished" in html
    assert "the last line is unfinished" in html


def test_the_report_can_go_elsewhere(tmp_path):
    run = write_rich_run(tmp_path / "run", n_records=72)
    path = write_report(run, run / "truth.jsonl", tmp_path / "new" / "today.html")
    assert path == tmp_path / "new" / "today.html"
    assert "taste shift" in path.read_text(encoding="utf-8")
    assert not (run / REPORT_FILE).exists()


def test_a_year_of_records_stays_small(tmp_path):
    run = write_rich_run(tmp_path / "run", n_records=6_000, hours_apart=1.46)
    assert write_report(run, run / "truth.jsonl").stat().st_size < 10_000_000


def test_text_that_has_no_bytes_is_told_all_the_same(tmp_path):
    run = write_rich_run(tmp_path / "run", n_records=3)
    summary = (run / "summary.json").read_text()
    (run / "summary.json").write_text(summary.replace("popularity", "\\ud800"))
    assert write_report(run).is_file()


def test_a_folder_without_a_run_gets_no_report(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_is_told(tmp_path):
    run = write_rich_run(tmp_path / "run", n_records=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"report.html: cannot be written"):
        write_report(run, to=tmp_path / "file" / "report.html")
