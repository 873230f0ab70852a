"""Reads JSON into frozen dataclasses, strictly: every key known, every type as declared.

A manifest comes from a disk that others can write to, so nothing is trusted that was not declared.
The whole vocabulary is: dataclass, str, int, float, bool, X | None, tuple[X, ...], tuple[X, Y] and
dict[str, X]. Field names are the keys of the file.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from runtime.errors import BundleError

__all__ = ["from_json", "to_json"]

T = TypeVar("T")


def to_json(value: Any) -> bytes:
    """Return a dataclass as indented UTF-8 JSON that ends in a newline."""
    return (json.dumps(dataclasses.asdict(value), indent=2, ensure_ascii=False) + "\n").encode()


def from_json(kind: type[T], data: bytes, source: str) -> T:
    """Return the dataclass that the JSON bytes describe.

    Args:
        kind: the dataclass to make.
        data: UTF-8 JSON.
        source: the name of the file, for messages.

    Raises:
        BundleError: if the bytes are not JSON, a key is missing or unknown, or a value is of
            another type than its field declares. The message names the place.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{source} is not valid JSON ({error}); was it cut short?") from None
    value: T = _decode(kind, document, source)
    return value


def _decode(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast("type[Any]", kind), value, where)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _decode(_without_none(kind), value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), value, where)
    if origin is dict:
        _expect(isinstance(value, dict), where, "an object", value)
        item = typing.get_args(kind)[1]
        return {key: _decode(item, entry, f"{where}: {key}") for key, entry in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _expect(type(value) is kind, where, kind.__name__, value)
    return value


def _decode_dataclass(kind: type[Any], value: Any, where: str) -> Any:
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
    return kind(**{k: _decode(hints[k], v, f"{where}: {k}") for k, v in value.items()})


def _decode_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), where, "a list", value)
    if items[-1] is Ellipsis:
        items = items[:1] * len(value)
    _expect(len(value) == len(items), where, f"{len(items)} values", value)
    return tuple(
        _decode(item, entry, f"{where}: {index}")
        for index, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def _without_none(kind: Any) -> Any:
    return next(k for k in typing.get_args(kind) if k is not type(None))


def _expect(holds: bool, where: str, expected: str, given: Any) -> None:  # noqa: FBT001 (an assertion)
    if not holds:
        shown = json.dumps(given, ensure_ascii=False)[:60]
        raise BundleError(f"{where}: given {shown}; expected {expected}")
