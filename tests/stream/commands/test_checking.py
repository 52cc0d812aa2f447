import pytest

from stream import cli
from stream.config import FreshrankConfig
from stream.settings import read_settings


def call(capsys, *args):
    status = cli.run(args)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def config(tmp_path):
    return tmp_path / "freshrank.yaml"


def test_a_valid_configuration_is_said_to_be(config, capsys):
    config.write_text("batch: {events: 512}\n")
    assert call(capsys, "check", str(config)) == (0, f"{config}: valid\n", "")


def test_what_is_shown_is_complete_and_reads_back_as_the_same(config, capsys):
    config.write_text("batch: {events: 512}\nsource: {map: {user: 'visitor: [id]'}}\n")
    _, shown, err = call(capsys, "check", str(config), "--show")
    assert err == ""
    settings = read_settings(FreshrankConfig, config)
    config.write_text(shown)
    assert read_settings(FreshrankConfig, config) == settings
    assert [key for key in FreshrankConfig.model_fields if f"\n{key}:" not in f"\n{shown}"] == []


def test_every_problem_is_an_error_of_its_own(config, capsys):
    config.write_text("batch: {evnets: 512}\nlearner: {width: 0}\n")
    status, out, err = call(capsys, "check", str(config))
    assert (status, out) == (2, "")
    first, second = sorted(err.splitlines())
    assert first == f"error: {config}: batch.evnets: unknown key; did you mean 'events'?"
    assert second.startswith(f"error: {config}: learner.width: ")
