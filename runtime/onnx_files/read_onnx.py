"""Reads what an ONNX file says of itself, without onnx and without loading its weights.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.onnx_files.protobuf import fields, messages, text
from runtime.variant import TensorInfo

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
    opsets = {text(opset, 1): _number(opset, 2) for opset in messages(whole, 8)}
    graphs = list(messages(whole, 7))
    return OnnxFile(
        opset=opsets.get("", 0),
        inputs=tuple(_tensor_info(value) for graph in graphs for value in messages(graph, 11)),
        outputs=tuple(_tensor_info(value) for graph in graphs for value in messages(graph, 12)),
        metadata={text(entry, 1): text(entry, 2) for entry in messages(whole, 14)},
    )


def _tensor_info(value: memoryview) -> TensorInfo:
    # ValueInfoProto.type.tensor_type
    tensors = [tensor for kind in messages(value, 2) for tensor in messages(kind, 1)]
    code = next((_number(tensor, 1) for tensor in tensors), 0)
    dims = (
        dim for tensor in tensors for shape in messages(tensor, 2) for dim in messages(shape, 1)
    )
    return TensorInfo(
        name=text(value, 1),
        dtype=_DTYPES.get(code, f"type {code}"),
        # dim_param, else dim_value
        shape=tuple(text(dim, 2) or str(_number(dim, 1)) for dim in dims),
    )


def _number(message: memoryview, number: int) -> int:
    found = [value for given, value in fields(message) if given == number]
    return found[-1] if found and isinstance(found[-1], int) else 0
