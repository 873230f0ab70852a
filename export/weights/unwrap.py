"""Takes off what training scripts put around a state dict, and before its keys.

    {"epoch": 3, "state_dict": {"module.model.conv1.weight": ...}}   becomes   {"conv1.weight": ...}

An average over the training's steps (EMA) beside the weights is left where it is unless it is asked
for: which of the two is better is for the person to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from runtime.errors import CheckpointError

__all__ = ["Unwrapped", "bare", "unwrap"]

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module")
"""Keys of a document that hold a state dict, or another wrapper."""

EMA_COPIES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "ema")
"""Likewise, for averages; also what stands before their keys in a state dict of both."""

PREFIXES = frozenset({"module", "model", "backbone", "_orig_mod", "net"})
"""Names that DataParallel, Lightning, torch.compile and others put before a part of a key, at any
place; no layer is called so."""

BOOKKEEPING = frozenset({"n_averaged", "total_ops", "total_params"})
"""Last parts of keys that count: steps of an average, operations of a profiler."""

_EXPECTED = "expected named tensors, as torch.save(model.state_dict(), ...) writes them"


@dataclass(frozen=True, kw_only=True)
class Unwrapped:
    """Named tensors, and where in the document they stood."""

    weights: dict[str, Tensor]
    place: str
    """The keys that lead there: "checkpoint['model']"; empty for the document itself."""
    averaged: bool
    """Whether they are an average over steps (EMA)."""
    left: str
    """The copy that was not taken: the key of the average, or of the weights; empty for none."""


def unwrap(document: object, path: Path, *, ema: bool = False) -> Unwrapped:
    """Return the named tensors of a document.

    Args:
        document: what the file holds.
        path: the file, for messages.
        ema: take the average over steps where the document holds both.

    Raises:
        CheckpointError: if there are none, or two sets of them, or they are quantized, or an
            average is asked for and there is none.
    """
    keys: list[str] = []
    averaged, left = False, ""
    while isinstance(document, Mapping):
        plain, copies = _inside(document, WRAPPERS), _inside(document, EMA_COPIES)
        if len(plain) > 1:
            raise CheckpointError(
                f"'{path}' holds weights under '{plain[0]}' and under '{plain[1]}'; "
                "save the one that is meant on its own"
            )
        if not plain and not copies:
            break
        take_copy = bool(copies) and (ema or not plain)
        if plain and copies:
            left = plain[0] if take_copy else copies[0]
        averaged = averaged or take_copy
        keys.append(copies[0] if take_copy else plain[0])
        document = document[keys[-1]]
    weights = _named_tensors(document, path)
    if not averaged:
        weights, averaged, beside = _split(weights, ema=ema)
        left = left or beside
    if ema and not averaged:
        raise CheckpointError(
            f"'{path}' holds no average over steps (EMA); leave --ema out, expected one under "
            f"{' or '.join(EMA_COPIES)}"
        )
    return Unwrapped(
        weights=_without_prefixes(weights, path),
        place="".join(f"['{key}']" for key in keys),
        averaged=averaged,
        left=left,
    )


def _inside(document: Mapping[object, object], keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if isinstance(document.get(key), Mapping)]


def _named_tensors(document: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(document, Mapping) or not document:
        raise CheckpointError(f"'{path}' holds {_kind(document)}; {_EXPECTED}")
    for name, value in document.items():
        if _is_quantized(value):
            raise CheckpointError(
                f"'{path}' is quantized already, at {str(name)[:60]!r}; expected the float32 "
                "weights it was made of"
            )
        if not isinstance(name, str) or not _is_plain(value):
            raise CheckpointError(
                f"'{path}' holds {_kind(value)} under {str(name)[:60]!r}; {_EXPECTED}"
            )
    return {
        name: value for name, value in document.items() if name.split(".")[-1] not in BOOKKEEPING
    }


def _is_plain(value: object) -> bool:
    """Return whether it is a dense tensor with its values in memory."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta


def _is_quantized(value: object) -> bool:
    """Return whether it is a quantized tensor, or what a quantized Linear keeps beside its own."""
    return isinstance(value, torch.dtype) or (isinstance(value, Tensor) and value.is_quantized)


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of layout {value.layout} on {value.device}"
    return f"a value of type {type(value).__name__}" if value else "nothing"


def _split(weights: dict[str, Tensor], *, ema: bool) -> tuple[dict[str, Tensor], bool, str]:
    """Return the weights or their average, whether it is the average, and what was left."""
    copies: dict[str, Tensor] = {}
    plain: dict[str, Tensor] = {}
    copy = ""
    for name, value in weights.items():
        first, _, rest = name.partition(".")
        if first in EMA_COPIES:
            copy, copies[rest] = first, value
        else:
            plain[name] = value
    if copies and (ema or not plain):
        return copies, True, "the weights" if plain else ""
    return plain, False, copy


def bare(name: str) -> str:
    """Return a tensor's name without the prefixes that wrappers add."""
    *parts, last = name.split(".")
    return ".".join([*(part for part in parts if part not in PREFIXES), last])


def _without_prefixes(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    origins: dict[str, str] = {}
    for name in weights:
        short = bare(name)
        if short in origins:
            raise CheckpointError(
                f"'{path}' holds '{short}' twice, as '{origins[short]}' and as '{name}'; "
                "save the one that is meant on its own"
            )
        origins[short] = name
    return {short: weights[name] for short, name in origins.items()}
