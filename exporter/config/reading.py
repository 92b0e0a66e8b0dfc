"""Reads YAML strictly, and holds it to a model with words that name file, key, what was expected and what was found."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.values import is_surrogate
from exporter.errors import ConfigError

_USERINFO = re.compile(r"//[^/@]*@")
_SECRET_KEYS = {"basic_auth", "headers", "deliver", "basic_auth_users", "key"}


class _StrictLoader(yaml.SafeLoader):
    """YAML lets a second key win silently, and text be what no output can encode; here both are refused."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and any(map(is_surrogate, value)):
            raise yaml.constructor.ConstructorError(None, None, "half of a surrogate pair is no text", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is not plain text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


Checked = TypeVar("Checked", bound=BaseModel)


def read(path: Path) -> object:
    """Returns what a YAML file holds.

    Raises:
        ConfigError: It cannot be read, or is no YAML.
    """
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=where) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"expected UTF-8 text, found byte {error.object[error.start]:#04x}", where=where) from error
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader underneath
    # The last two: a date or number that is none, and endless nesting.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"expected YAML: {' '.join(str(error).split())}", where=where) from error


def checked(kind: type[Checked], document: object, *, where: str, help_for_unknown: str) -> Checked:
    """Returns a document as a model; a section without anything in it has its defaults.

    Args:
        kind: The model.
        document: What a YAML file holds.
        where: Names the document in errors.
        help_for_unknown: Says of an unknown key where the known ones stand.

    Raises:
        ConfigError: naming, for each fault, the key, what was expected and what was found.
    """
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(f"expected keys and values, found {_found(document)}", where=where)
    # None may be the value of a key, but a section that is None is one whose keys are all commented out.
    sections = {key: value for key, value in document.items() if not (value is None and _is_section(kind, key))}
    try:
        return kind.model_validate(sections)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        words = (_explain(document, detail, help_for_unknown) for detail in details)
        raise ConfigError("\n".join(words), where=where) from None


def _is_section(kind: type[BaseModel], key: object) -> bool:
    """Returns whether a key's value cannot be null."""
    known = kind.model_fields.get(str(key))
    return known is not None and not known.is_required() and known.get_default(call_default_factory=True) is not None


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "path_type": "a path",
    "dict_type": "keys and values",
    "list_type": "a list",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
"""By pydantic's type of error; the others say it well themselves."""


def _explain(document: dict[Any, Any], detail: ErrorDetails, help_for_unknown: str) -> str:
    """Returns one fault as `key: expected …, found …`."""
    known: list[str] = []
    value: Any = document
    for key in detail["loc"]:
        if isinstance(value, dict) and key in value:
            known.append(_name(key))
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int):
            known[-1] += f"[{key}]"
            value = value[key]
    name = ".".join(known)
    if detail["type"] == "extra_forbidden":
        return f"{name}: no such key; {help_for_unknown}"
    if detail["type"] == "missing":
        return f"{name}.{detail['loc'][-1]}: expected a value, found nothing"
    wanted = _EXPECTED.get(detail["type"], detail["msg"].removeprefix("Input should be "))
    if detail["loc"][-1] == "[key]":
        return f"{name}: expected {wanted} as the key"
    is_about_a_whole_section = detail["type"] == "expected" and isinstance(value, dict)
    if is_about_a_whole_section or _SECRET_KEYS.intersection(key.split("[")[0] for key in known):
        return f"{name}: expected {wanted}"
    return f"{name}: expected {wanted}, found {_found(value)}"


def _name(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and text else repr(text)


def _found(value: object) -> str:
    match value:
        case dict():
            return "keys and values"
        case list():
            return "a list"
        case str():
            text = _USERINFO.sub("//…@", value)
            return f'"{text}"' if text.isprintable() else repr(text)
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
