"""Writes the text form of protobuf messages, as far as a model's configuration needs it.

    mapping -> name { ... }    list -> the field once for each    text -> quoted    bool -> true
    Word -> the bare name of an enumeration's value

https://protobuf.dev/reference/protobuf/textformat-spec. Written here because the descriptors of
Triton's messages come only with its client, which nobody needs to make a repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["Message", "Word", "render"]


class Word(str):
    """The name of an enumeration's value: TYPE_FP32."""

    __slots__ = ()


Message: TypeAlias = "Mapping[str, object]"
"""Fields by name: a Message, a text, a Word, a number, a bool, or a list of one of these."""


def render(message: Message, indent: str = "") -> str:
    """Return the message as text, a field a line."""
    return "".join(
        _render_field(name, each, indent)
        for name, value in message.items()
        for each in (value if isinstance(value, list) else [value])
    )


def _render_field(name: str, value: object, indent: str) -> str:
    if isinstance(value, Mapping):
        return f"{indent}{name} {{\n{render(value, indent + '  ')}{indent}}}\n"
    return f"{indent}{name}: {_render_scalar(value)}\n"


def _render_scalar(value: object) -> str:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str):
        # JSON's escapes are protobuf's, too, but for those of single bytes, which it never writes.
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)
