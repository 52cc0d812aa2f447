import yaml

from stream import cli


def test_settings_without_topics_are_refused_before_anything_is_made(tmp_path, capsys):
    path = tmp_path / "freshrank.yaml"
    path.write_text("{}")
    status = cli.run(["run", "--config", str(path), "--out", str(tmp_path / "run")])
    assert status == 2
    assert "source.kafka is not set" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_output_that_is_an_input_is_refused(tmp_path, capsys):
    path = tmp_path / "freshrank.yaml"
    kafka = {"connection": {"bootstrap": "localhost:9"}, "topics": ["clicks"]}
    settings = {"source": {"kafka": kafka}, "outputs": {"kafka": {"dead_letters": "clicks"}}}
    path.write_text(yaml.safe_dump(settings))
    assert cli.run(["run", "--config", str(path)]) == 2
    assert "outputs.kafka.dead_letters: clicks is one of" in capsys.readouterr().err
