"""Reads what a weights file holds, without running any of it.

A file is recognised by its content, not by its name. Pickles are read by torch's restricted
unpickler: tensors, plain values, and the options that training scripts put beside them.
One that asks for more is refused by what it asks for.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pickletools
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from export.weights.check_weights import check_weights_file
from runtime.errors import CheckpointError

__all__ = ["read_document"]

# Options, as training scripts save them beside the weights: an object with attributes, no more.
# NumPy's scalars are not here: a forged dtype makes its own reader follow any pointer.
_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
# What torch itself puts into a pickle of tensors.
_TENSOR_PARTS = re.compile(
    r"collections\.OrderedDict|torch\.\w*(Storage|Tensor)|torch\._utils\._rebuild_\w+"
)


def read_document(path: Path) -> tuple[object, dict[str, str]]:
    """Return the document in a .safetensors, .pth or .pt file, and the metadata beside it.

    Tensors are on the CPU. Only safetensors files have metadata.

    Raises:
        CheckpointError: if there is no such file, or it is damaged, or would run code.
    """
    check_weights_file(path)
    data = path.read_bytes()
    with _translated(path, data):
        if data[8:9] == b"{":  # safetensors: the length of the header in 8 bytes, then JSON
            document: object = safetensors.torch.load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            return document, header.get("__metadata__", {})
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), {}


@contextlib.contextmanager
def _translated(path: Path, data: bytes) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols and TorchScript
            yield
    except Exception as error:  # a damaged or hostile file can raise anything
        asked = re.search(r"GLOBAL (\w+(?:\.\w+)+)", str(error))
        would_run = asked[1] if asked else _first_call(data)
        if would_run:
            raise CheckpointError(
                f"refused to read '{path}': it would run '{would_run}'; "
                "expected tensors only, as torch.save(model.state_dict(), ...) writes them"
            ) from None
        raise CheckpointError(
            f"'{path}' is damaged or not a checkpoint ({_reason(error)}); "
            "expected a .safetensors, .pth or .pt file; copy or download it again"
        ) from None


def _first_call(data: bytes) -> str:
    """Return what a bare pickle would call first, beside what makes a tensor; "" if nothing.

    torch reads but some of pickle's protocols, and refuses the others before it comes to a name.
    """
    try:
        for name in _names(data):
            if not _TENSOR_PARTS.fullmatch(name):
                return name if name.isprintable() else repr(name)
    except Exception:  # it is no pickle, or a damaged one
        return ""
    return ""


def _names(data: bytes) -> Iterator[str]:
    """Yield the names that a pickle looks up, in order."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    last: object = ""
    for code, argument, _ in pickletools.genops(data):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])
        elif code.name == "MEMOIZE" or code.name.endswith("PUT"):
            memo[len(memo) if argument is None else int(argument)] = str(last)
        last = memo.get(int(argument or 0), "") if code.name.endswith("GET") else argument
        if isinstance(last, str):
            strings.append(last)


def _reason(error: Exception) -> str:
    """Return what a library says of the file, in a few words."""
    text = str(error).split("WeightsUnpickler error: ")[-1].strip() or "it ends too early"
    if text.startswith("Unsupported operand"):
        return "torch.save did not write it"
    return re.split(r"\. |\n", re.sub(r"^\[.*?\] [. ]*", "", text))[0][:120]
