"""Frozen dataclasses as plain JSON values, and back.

Reading is strict, since the text may come from another version or another machine: unknown fields
are ignored, missing ones take their default, and a value of a wrong type raises ValueError that
names its place.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints


def to_plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return `value` as dicts, lists, strings and numbers that `json` can write."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    return value


def from_plain[T](kind: type[T], data: object) -> T:
    """Return the dataclass `kind` that `data` describes; raise ValueError where it does not fit."""
    return cast("T", _read(kind, data, kind.__name__))


def _read(kind: Any, data: object, place: str) -> object:  # noqa: ANN401 - a type annotation
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (wanted,) = (argument for argument in arguments if argument is not NoneType)
        return None if data is None else _read(wanted, data, place)
    if origin is tuple:
        items = enumerate(_expect(list, data, place))
        return tuple(_read(arguments[0], item, f"{place}[{index}]") for index, item in items)
    if origin is Mapping:
        pairs = _expect(dict, data, place).items()
        return {key: _read(arguments[1], item, f"{place}[{key!r}]") for key, item in pairs}
    if is_dataclass(kind):
        return _read_dataclass(cast("type[Any]", kind), _expect(dict, data, place), place)
    if issubclass(kind, Enum):
        return kind(_expect(str, data, place))
    if kind is float and type(data) is int:
        return float(data)
    return _expect(kind, data, place)


def _read_dataclass(kind: type[Any], data: Mapping[str, object], place: str) -> object:
    values = {}
    for name, annotation, required in _shape(kind):
        if name in data:
            values[name] = _read(annotation, data[name], f"{place}.{name}")
        elif required:
            raise ValueError(f"{place}.{name} is missing")
    return kind(**values)


def _shape(kind: type[Any]) -> tuple[tuple[str, object, bool], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name], _required(field)) for field in fields(kind))


def _required(field: Field[object]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _expect[T](kind: type[T], data: object, place: str) -> T:
    if type(data) is not kind:
        raise ValueError(f"{place} must be {kind.__name__}, not {type(data).__name__}")
    return data
