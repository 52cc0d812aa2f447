"""Reading settings: YAML and `key=value` into a model, with errors that name the key.

Every message says where (the path of the key), what came, what was expected, and for a
misspelled key the nearest valid name.
"""

import difflib
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stream.durations import WRITTEN_BY_PEOPLE
from stream.errors import ConfigError

# What the validator calls things, and what people who write YAML do.
_PLAIN_WORDS = {
    r"valid dictionary or instance of \w+": "group of keys",
    "valid (tuple|list)": "list, such as [1, 10]",
    "valid dictionary": "group of keys",
}

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_settings(model: type[ModelT], path: Path | None, overrides: Sequence[str] = ()) -> ModelT:
    """A model from a YAML file (None: all defaults) and `key.path=value` overrides.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML mapping, or a key or value is not valid.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides:
        _apply(values, override)
    values = {key: value for key, value in values.items() if value is not None}  # `batch:` alone
    try:
        return model.model_validate(values, context=WRITTEN_BY_PEOPLE)
    except ValidationError as err:
        lines = [
            f"{_origin(problem['loc'], path, overrides)}: {_explain(model, problem)}"
            for problem in err.errors()
        ]
        raise ConfigError("\n".join(lines)) from err


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML whose mappings name each key once; plain YAML keeps the last of two without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: is not UTF-8 at byte {err.start}; save it as UTF-8") from err
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(err, "problem", None) or str(err)
        raise ConfigError(f"{path}{line}: is not YAML: {problem}") from err
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: holds {type(values).__name__}, expected keys such as 'batch:' at the top"
        )
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected key=value, such as batch.events=512")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as err:
        raise ConfigError(f"--set {override}: the value is not YAML") from err
    *parents, last = key.split(".")
    group: Any = values
    for parent in parents:
        place = _place(group, parent, override)
        if isinstance(group, dict) and group.get(place) is None:
            group[place] = {}
        group = group[place]
        if not isinstance(group, dict | list):
            raise ConfigError(f"--set {override}: {parent} is no group of keys")
    group[_place(group, last, override)] = value


def _place(group: dict[str, Any] | list[Any], name: str, override: str) -> Any:
    """A key as it is; in a list, such as `alerts.rules.0`, the number of one of its entries."""
    if isinstance(group, dict):
        return name
    if not name.isdecimal() or int(name) >= len(group):
        raise ConfigError(
            f"--set {override}: expected the number of an entry, 0 to {len(group) - 1}, got {name}"
        )
    return int(name)


def _origin(loc: tuple[Any, ...], path: Path | None, overrides: Sequence[str]) -> str:
    """Where the value at `loc` was set."""
    key = ".".join(str(part) for part in loc)
    for override in reversed(overrides):
        name = override.partition("=")[0]
        if f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}."):
            return "--set"
    return str(path) if path else "settings"


def _explain(model: type[BaseModel], problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, problem["loc"][:-1])
        known = sorted(owner.model_fields) if owner else []
        nearest = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
        return f"{path}: unknown key; {hint}"
    came = problem.get("input")
    message = problem["msg"].removeprefix("Value error, ")
    for awkward, plain in _PLAIN_WORDS.items():
        message = re.sub(awkward, plain, message)
    told = f"{message[0].lower()}{message[1:]}"
    if isinstance(came, dict):  # a rule over several keys: what came is in the message
        return f"{path}: {told}" if path else told
    return f"{path}: {told}" if "got" in told else f"{path}: {told} (got {repr(came)[:80]})"


def _model_at(model: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model that owns the keys below `loc`, seen through optional and annotated types."""
    current: type[BaseModel] | None = model
    others: list[type[BaseModel]] = []
    for part in loc:
        if current is None:
            return None
        if isinstance(part, str) and part in current.model_fields:
            found = _models_in(current.model_fields[part].annotation)
            current, others = (found[0], found[1:]) if found else (None, [])
        elif isinstance(part, str):  # the kind by which one of several is chosen
            current = next((one for one in [current, *others] if _is_kind(one, part)), None)
    return current


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, tuple, list, typing.Annotated):
        return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
    return []


def _is_kind(model: type[BaseModel], kind: str) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and kind in typing.get_args(field.annotation)
