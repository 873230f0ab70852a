"""Reads JSON into frozen dataclasses, strictly: every key known, every type as declared.

A manifest comes from a disk that others can write to, so nothing is trusted that was not declared.
The whole vocabulary is: dataclass, str, int, float, bool, X | None, tuple[X, ...], tuple[X, Y] and
dict[str, X]. Field names are the keys of the file. Numbers are finite and no key stands twice.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any, TypeAlias, TypeVar

from runtime.errors import BundleError, OptionError

__all__ = ["Json", "decode", "from_json", "parse_json", "to_json"]

T = TypeVar("T")

Json: TypeAlias = Any
"""What json.loads returns: nothing is known of it until it is decoded."""

_Type: TypeAlias = Any
"""A type of the vocabulary above, generic or not."""

_Decoded: TypeAlias = Any
"""A value of such a type."""


def to_json(value: _Decoded) -> bytes:
    """Return a dataclass as indented UTF-8 JSON that ends in a newline."""
    document = dataclasses.asdict(value)
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def from_json(kind: type[T], data: bytes, source: str) -> T:
    """Return the dataclass that the JSON bytes describe.

    Args:
        kind: the dataclass to make.
        data: UTF-8 JSON.
        source: the name of the file, for messages.

    Raises:
        BundleError: if the bytes are not JSON, a key is missing, unknown or stands twice, a value
            is of another type than its field declares, or the dataclass refuses it. The message
            names the place.
    """
    return decode(kind, parse_json(data, source), source)


def parse_json(data: bytes, source: str) -> Json:
    """Return what the JSON bytes hold, in Python's own types.

    Raises:
        BundleError: if they are not JSON.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{source} is not valid JSON ({error}); was it cut short?") from None


def decode(kind: type[T], document: Json, source: str) -> T:
    """Return the dataclass that a parsed JSON document describes.

    Raises:
        BundleError: as from_json.
    """
    value: T = _decode(kind, document, source)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _decode(kind: _Type, value: Json, where: str) -> _Decoded:
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast("type[Any]", kind), value, where)
    origin: _Type = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _decode(_without_none(kind), value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), value, where)
    if origin is dict:
        _expect(isinstance(value, dict), where, "an object", value)
        item = typing.get_args(kind)[1]
        return {key: _decode(item, entry, f"{where}: {key}") for key, entry in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = _to_float(value)
    _expect(type(value) is kind, where, kind.__name__, value)
    _expect(kind is not float or math.isfinite(value), where, "a finite number", str(value))
    return value


def _decode_dataclass(kind: type[Any], value: Json, where: str) -> _Decoded:
    _expect(isinstance(value, dict), where, "an object", value)
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    unknown = value.keys() - {field.name for field in fields}
    missing = required - value.keys()
    if unknown or missing:
        problem = f"has unknown key '{min(unknown)}'" if unknown else f"lacks '{min(missing)}'"
        raise BundleError(f"{where} {problem}; was it written by another version, or altered?")
    values = {k: _decode(hints[k], v, f"{where}: {k}") for k, v in value.items()}
    try:
        return kind(**values)
    except OptionError as error:
        raise BundleError(f"{where}: {error}") from None


def _decode_tuple(items: tuple[Any, ...], value: Json, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), where, "a list", value)
    if items[-1] is Ellipsis:
        items = items[:1] * len(value)
    _expect(len(value) == len(items), where, f"{len(items)} values", value)
    return tuple(
        _decode(item, entry, f"{where}: {index}")
        for index, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _without_none(kind: _Type) -> _Type:
    return next(k for k in typing.get_args(kind) if k is not type(None))


def _expect(holds: bool, where: str, expected: str, given: Json) -> None:  # noqa: FBT001 (an assertion)
    if not holds:
        shown = json.dumps(given)[:60]
        raise BundleError(f"{where}: given {shown}; expected {expected}")
