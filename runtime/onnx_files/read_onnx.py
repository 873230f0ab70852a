"""Reads what an ONNX file says of itself, without onnx and without loading its weights.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import BundleError
from runtime.manifest import TensorInfo
from runtime.onnx_files.protobuf import fields

__all__ = ["OnnxFile", "read_onnx"]

# TensorProto.DataType
_DTYPES = {1: "float", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16", 11: "double"}


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """The outside of a model."""

    opset: int
    """Of ONNX's own operators."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    """metadata_props."""


def read_onnx(model: bytes) -> OnnxFile:
    """Return what a serialized ModelProto says of itself.

    Raises:
        BundleError: if the bytes are no ONNX model.
    """
    whole = memoryview(model)
    opsets = {_text(opset, 1): _number(opset, 2) for opset in _messages(whole, 8)}
    graphs = list(_messages(whole, 7))
    return OnnxFile(
        opset=opsets.get("", 0),
        inputs=tuple(_tensor_info(value) for graph in graphs for value in _messages(graph, 11)),
        outputs=tuple(_tensor_info(value) for graph in graphs for value in _messages(graph, 12)),
        metadata={_text(entry, 1): _text(entry, 2) for entry in _messages(whole, 14)},
    )


def _tensor_info(value: memoryview) -> TensorInfo:
    # ValueInfoProto.type.tensor_type
    tensors = [tensor for kind in _messages(value, 2) for tensor in _messages(kind, 1)]
    code = next((_number(tensor, 1) for tensor in tensors), 0)
    dims = (
        dim for tensor in tensors for shape in _messages(tensor, 2) for dim in _messages(shape, 1)
    )
    return TensorInfo(
        name=_text(value, 1),
        dtype=_DTYPES.get(code, f"type {code}"),
        # dim_param, else dim_value
        shape=tuple(_text(dim, 2) or str(_number(dim, 1)) for dim in dims),
    )


def _messages(message: memoryview, number: int) -> Iterator[memoryview]:
    for given, value in fields(message):
        if given == number:
            if isinstance(value, int):
                raise BundleError(f"not an ONNX file: its field {number} is a number")
            yield value


def _text(message: memoryview, number: int) -> str:
    return "".join(bytes(value).decode(errors="replace") for value in _messages(message, number))


def _number(message: memoryview, number: int) -> int:
    found = [value for given, value in fields(message) if given == number]
    return found[-1] if found and isinstance(found[-1], int) else 0
