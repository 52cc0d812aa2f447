import pyarrow.parquet as pq
import pytest

from stream import cli
from tests.stream.reporting.rich_run import write_rich_run


@pytest.fixture
def run(tmp_path):
    return write_rich_run(tmp_path / "run", n_records=12)


def call(capsys, *args):
    status = cli.run(["export", *map(str, args)])
    out, err = capsys.readouterr()
    return status, out.replace("\n", " "), err


def test_both_files_lie_in_the_run_and_are_told_with_their_rows(run, capsys):
    status, out, err = call(capsys, run)
    n_rows = len(pq.read_table(run / "metrics.parquet"))
    assert (status, err) == (0, "")
    assert f"{run / 'metrics.parquet'}, {n_rows:,} rows, " in out
    assert f"{run / 'alerts.parquet'}, 13 rows, " in out


def test_each_file_goes_where_it_is_wanted(run, tmp_path, capsys):
    to, alerts = tmp_path / "m.parquet", tmp_path / "a.parquet"
    status, _, _ = call(capsys, run, "--to", to, "--alerts", alerts)
    assert status == 0
    assert to.exists()
    assert alerts.exists()


def test_lines_that_are_no_records_are_warned_of(run, capsys):
    with (run / "alerts.jsonl").open("a") as file:
        file.write("not JSON\n")
    assert "1 lines behind alerts.parquet" in call(capsys, run)[2]


def test_a_folder_for_a_file_is_refused(run, tmp_path, capsys):
    status, out, err = call(capsys, run, "--to", tmp_path)
    assert (status, out) == (2, "")
    assert "is a folder; name a file" in err
