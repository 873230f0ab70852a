"""Tensors of the Open Inference Protocol: their description, their JSON and their bytes.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
and Triton's binary tensor data extension. Everything here comes from a client and is doubted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import RequestError
from runtime.schema import Json
from runtime.variant import TensorInfo

__all__ = ["Tensor", "check_shape", "encode_strings", "from_bytes", "from_json_data", "tensor_of"]

_DATATYPES = {"float": "FP32", "float16": "FP16", "uint8": "UINT8"}
"""The protocol's name of each type of a manifest."""
_DTYPES: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "UINT8": np.dtype("u1"),
}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a model, in the protocol's terms."""

    name: str
    datatype: str
    """"FP32", "FP16" or "UINT8"."""
    shape: tuple[int, ...]
    """Batch first; -1 where any size goes."""

    def describe(self) -> dict[str, object]:
        """Return its entry in a model's metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def tensor_of(info: TensorInfo) -> Tensor:
    """Return a manifest's tensor in the protocol's terms.

    A fixed batch is filled up by the server, so to a client any batch goes.
    """
    sizes = [int(size) if size.isdigit() else -1 for size in info.shape]
    return Tensor(name=info.name, datatype=_DATATYPES[info.dtype], shape=(-1, *sizes[1:]))


def check_shape(tensor: Tensor, shape: Json, largest_batch: int) -> tuple[int, ...]:
    """Return the shape a request states for a tensor: its own, [batch, ...] of any batch allowed.

    Raises:
        RequestError: if the model cannot take it.
    """
    expected = list(tensor.shape)
    whole = isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape)
    fits = whole and len(shape) == len(expected)
    if not fits or any(e not in (-1, s) for s, e in zip(shape, expected, strict=True)):
        raise RequestError(
            400,
            f"input '{tensor.name}': given shape {str(shape)[:80]}; expected {expected}, where -1 "
            "is any size from 1 up",
        )
    if shape[0] > largest_batch:
        raise RequestError(
            400,
            f"input '{tensor.name}': given a batch of {shape[0]}; expected at most {largest_batch}",
        )
    return tuple(shape)


def from_json_data(tensor: Tensor, data: Json, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the tensor whose elements a request lists, flat or nested: of its shape and dtype.

    Raises:
        RequestError: if they are no finite numbers of the tensor's type, or too many or too few.
    """
    if tensor.datatype == "FP16":
        raise RequestError(400, f"input '{tensor.name}': FP16 has no JSON form; send it binary")
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError):  # ragged; an integer beyond every type
        values = np.asarray(None)
    dtype = _DTYPES[tensor.datatype]
    fits = values.dtype.kind in ("iu" if dtype.kind == "u" else "iuf")
    if fits and dtype.kind == "u":
        fits = bool(((values >= 0) & (values <= 255)).all())
    if not fits:
        raise RequestError(
            400,
            f"input '{tensor.name}': given data that is not made of numbers of {tensor.datatype}",
        )
    # In several dimensions they must be the stated ones: a transposed image is a mistake.
    if (values.ndim != 1 and values.shape != shape) or values.size != math.prod(shape):
        raise RequestError(
            400,
            f"input '{tensor.name}': given data of {list(values.shape)}; expected {list(shape)}, "
            "or as many numbers in one list",
        )
    with np.errstate(over="ignore"):  # infinity is refused below
        array = values.reshape(shape).astype(dtype)
    return _finite(tensor, array)


def from_bytes(tensor: Tensor, data: memoryview, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the tensor of these little-endian bytes, without a copy.

    Raises:
        RequestError: if they are too many or too few, or hold NaN or infinity.
    """
    dtype = _DTYPES[tensor.datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise RequestError(
            400,
            f"input '{tensor.name}': given {len(data)} bytes; expected {expected} for "
            f"{tensor.datatype} {list(shape)}",
        )
    return _finite(tensor, np.frombuffer(data, dtype).reshape(shape))


def encode_strings(rows: list[list[str]]) -> bytes:
    """Return strings as the protocol's BYTES: each after its length of four bytes."""
    texts = [text.encode(errors="replace") for row in rows for text in row]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _finite(tensor: Tensor, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        image = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise RequestError(
            400,
            f"input '{tensor.name}': image {image} holds NaN or infinity; expected finite numbers",
        )
    return array
