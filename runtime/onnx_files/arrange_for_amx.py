"""Arranges int8 convolutions so that ONNX Runtime multiplies them on AMX tiles.

    weights q, zero point 0    become    q - 1, zero point -1

They are the same weights, and sums of integers are exact: the logits stay as they are, bit by bit.
But where the zero point is 0, ONNX Runtime takes a kernel that reads patches of images where they
lie and knows AVX-512 only; elsewhere it copies patches into rows and multiplies matrices, which
its mlas/lib/qgemm_kernel_amx.cpp does on AMX.

Left alone are convolutions that are too narrow to gain by it, and weights that a tensor is shared
with or that reach -128, which quantization by this project never makes.

Measured on two cores of a Xeon with AMX, ONNX Runtime 1.31, 224 pixels, milliseconds before and
after: ResNet-18 3.9 to 3.4 (batch 1) and 27.0 to 17.4 (batch 8).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.onnx_files.protobuf import fields, messages, text, varints

__all__ = ["arrange_for_amx"]

_NARROWEST = 128
"""Output channels from which on, and products a sum from which on, multiplying matrices was faster
for every convolution of ResNet-18 and 50, at batch 1 and 8, copying included."""
_SHORTEST = 512

# Numbers of fields in onnx.proto.
_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OP_TYPE = 1, 2, 4
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_INT8 = 3


def arrange_for_amx(model: memoryview) -> bytes:
    """Return the serialized model with its wide int8 convolutions arranged for AMX.

    Raises:
        BundleError: if the bytes are no ONNX model.
    """
    arranged = bytearray(model)
    for graph in messages(memoryview(arranged), _GRAPH):
        nodes = [_Node.read(message) for message in messages(graph, _NODE)]
        tensors = {}
        for message in messages(graph, _INITIALIZER):
            tensor = _Tensor.read(message)
            tensors[tensor.name] = tensor
        for weights, zero_point in _wide(nodes, tensors):
            weights -= 1
            zero_point -= 1
    return bytes(arranged)


@dataclass(frozen=True, kw_only=True)
class _Node:
    kind: str
    inputs: tuple[str, ...]
    output: str
    """All of them joined, if there are several."""

    @staticmethod
    def read(message: memoryview) -> _Node:
        return _Node(
            kind=text(message, _OP_TYPE),
            inputs=tuple(bytes(name).decode() for name in messages(message, _INPUT)),
            output=text(message, _OUTPUT),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    values: NDArray[np.int8]
    """In the model's own memory; empty if they are no int8, or lie elsewhere."""

    @staticmethod
    def read(message: memoryview) -> _Tensor:
        shape: list[int] = []
        int8, raw = False, memoryview(b"")
        for number, value in fields(message):
            if number == _DIMS:
                shape += [value] if isinstance(value, int) else varints(value)
            elif number == _DATA_TYPE:
                int8 = value == _INT8
            elif number == _RAW_DATA and not isinstance(value, int):
                raw = value
        values = np.frombuffer(raw if int8 else b"", np.int8)
        return _Tensor(name=text(message, _NAME), shape=tuple(shape), values=values)


def _wide(
    nodes: list[_Node], tensors: dict[str, _Tensor]
) -> Iterator[tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """Yield weights and zero points, to be written to, of convolutions that gain by AMX."""
    made = {node.output: node for node in nodes if node.kind == "DequantizeLinear"}
    readers = Counter(name for node in nodes for name in node.inputs)
    for node in nodes:
        source = made.get(node.inputs[1]) if node.kind == "Conv" and len(node.inputs) > 1 else None
        if source is None or len(source.inputs) != 3:
            continue
        weights, zero_point = (tensors.get(source.inputs[index]) for index in (0, 2))
        if weights is None or zero_point is None:
            continue
        alone = all(readers[name] == 1 for name in (*source.inputs[::2], source.output))
        if alone and _is_wide(weights) and _can_move(weights, zero_point):
            yield weights.values, zero_point.values


def _is_wide(weights: _Tensor) -> bool:
    shape = weights.shape
    return len(shape) == 4 and shape[0] >= _NARROWEST and math.prod(shape[1:]) >= _SHORTEST


def _can_move(weights: _Tensor, zero_point: _Tensor) -> bool:
    whole = weights.values.size == math.prod(weights.shape) and zero_point.values.size > 0
    return whole and not zero_point.values.any() and int(weights.values.min()) > -128
