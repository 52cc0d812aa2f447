"""What the documents say is so."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from stream.config import FreshrankConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
COMMANDS = re.findall(
    r"^(?:zcat \S+ \| )?(freshrank .+?)(?:\s+#.*)?$", README.replace("\\\n", " "), re.MULTILINE
)
SHIPPED = [*(ROOT / "benchmarks").glob("*.yaml"), ROOT / "deploy" / "freshrank.yaml"]


def test_the_architecture_lists_every_module_with_its_own_first_line():
    row = r"^\| `((?:stream|learners|evaluators)/\S+)` \| (.+) \|$"
    listed = dict(re.findall(row, ARCHITECTURE, re.MULTILINE))
    modules = {
        str(path.relative_to(ROOT)): _first_line(path)
        for package in ("stream", "learners", "evaluators")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert listed == modules


def test_the_settings_in_the_readme_are_valid_and_those_shown_as_defaults_are():
    blocks = map(yaml.safe_load, re.findall(r"```yaml\n(.+?)```", README, re.DOTALL))
    first_key = {next(iter(block)): FreshrankConfig.model_validate(block) for block in blocks}
    known = {"alerts", "outputs", "source", "ranking", "learner", "inputs", "evaluator"}
    assert first_key.keys() == known
    assert first_key["evaluator"].evaluator.slices.context == ("device", "hour")
    assert len(first_key["alerts"].alerts.rules) == 2
    assert first_key["source"].outputs.kafka is not None
    assert [one.kind for one in first_key["outputs"].alerts.deliver] == ["alertmanager", "webhook"]
    shown = first_key["ranking"]
    assert shown.ranking.exclude_seen
    assert shown.model_copy(update={"ranking": FreshrankConfig().ranking}) == FreshrankConfig()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_in_the_readme_is_one_that_exists(command):
    from typer.main import get_command  # noqa: PLC0415 - only this test asks for the parser

    from stream.cli import app  # noqa: PLC0415

    _, name, *arguments = shlex.split(command)
    group = get_command(app)
    if name.startswith("--"):
        assert name in {option for found in group.params for option in found.opts} | {
            "--install-completion"
        }
        return
    found = group.commands[name]  # type: ignore[attr-defined]
    known = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("path", sorted(SHIPPED), ids=lambda path: path.name)
def test_each_shipped_configuration_is_valid(path):
    FreshrankConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
