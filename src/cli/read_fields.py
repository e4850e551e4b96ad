"""Dataclasses read from plain dicts by their type hints."""

import dataclasses
import importlib
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any


def read_fields(kind: type, node: Mapping[str, Any], path: str = "") -> tuple[dict[str, Any], list[str]]:
    """Reads the fields of a dataclass from a mapping.

    Args:
        kind: the dataclass; a field may be a plain value, a list or dict of values, a dataclass, or a component that
            `_target_` names.
        node: key -> value. A key with a default in the dataclass may be missing, so that a yaml file of a user's own
            need not have the keys that were added after it.
        path: of the mapping, in front of every key in a message.

    Returns:
        Name -> value, None where the value is not fit, and what is wrong, a line each.
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    defaults = {
        field.name: field.default for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING
    }
    values: dict[str, Any] = {}
    problems = [f"{path}{key}: no such key" for key in node if key not in names and key != "_target_"]
    for name in names:
        if name not in node and name in defaults:
            values[name] = defaults[name]
        elif name not in node:
            problems.append(f"{path}{name}: missing")
            values[name] = None
        else:
            values[name], wrong = _value(hints[name], node[name], f"{path}{name}")
            problems += wrong
    return values, problems


def _value(kind: Any, value: Any, path: str) -> tuple[Any, list[str]]:
    """A value read as a type: a plain one, a dataclass, or a component named by `_target_`."""
    if isinstance(value, Mapping) and typing.get_origin(kind) is dict:
        read = {key: _value(typing.get_args(kind)[1], below, f"{path}.{key}") for key, below in value.items()}
        problems = [line for _, wrong in read.values() for line in wrong]
        return (None, problems) if problems else ({key: below for key, (below, _) in read.items()}, [])
    if isinstance(value, Mapping):
        target = _target(value["_target_"], kind) if "_target_" in value else _dataclass_in(kind)
        if target is None:
            if "_target_" in value:
                return None, [f"{path}._target_={value['_target_']}: expected a class of this project for {path}"]
            return None, [f"{path}={dict(value)}: expected {_name(kind)}"]
        fields, problems = read_fields(target, value, f"{path}.")
        if not problems:
            try:
                return target(**fields), []
            except ValueError as error:
                problems = [f"{path}.{line}" for line in str(error).splitlines()]
            except OSError as error:
                problems = [f"{path}: {str(error.filename)[:80]!r}: {error.strerror}"]
        return None, problems
    if any(_is_a(value, option) for option in _options(kind)):
        return float(value) if float in _options(kind) and type(value) is int else value, []
    return None, [f"{path}={'null' if value is None else value}: expected {_name(kind)}"]


def _is_a(value: Any, option: Any) -> bool:
    if option is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # nan is not
    if typing.get_origin(option) is list:
        return isinstance(value, list) and all(_is_a(item, typing.get_args(option)[0]) for item in value)
    return isinstance(option, type) and type(value) is option


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _dataclass_in(kind: Any) -> type | None:
    return next((option for option in _options(kind) if dataclasses.is_dataclass(option)), None)  # type: ignore[return-value]


def _name(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return " or ".join(
        words.get(option) or (f"a group of keys ({option.__name__})" if isinstance(option, type) else _several(option))
        for option in _options(kind)
    )


def _several(option: Any) -> str:
    return "a group of keys" if typing.get_origin(option) is dict else "a list of values"


def _target(name: object, kind: Any) -> type | None:
    """The class a yaml names: one of this project's dataclasses that is what `kind` asks for, and nothing else."""
    module, _, attribute = str(name).rpartition(".")
    if not re.fullmatch(r"src(\.[a-z][a-z0-9_]*)+", module):
        return None
    try:
        target = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    if not isinstance(target, type) or not dataclasses.is_dataclass(target) or target.__module__ != module:
        return None
    has = {name for base in target.__mro__[:-1] for name in (*vars(base), *base.__annotations__)}
    fits = any(target is option or (_is_protocol(option) and _asked_by(option) <= has) for option in _options(kind))
    return target if fits else None


def _is_protocol(option: Any) -> bool:
    return isinstance(option, type) and typing.Protocol in option.__mro__


def _asked_by(protocol: type) -> set[str]:
    """The names that a protocol asks for."""
    names = (*vars(protocol), *protocol.__annotations__)
    return {name for name in names if not name.startswith("_") or name == "__call__"}
