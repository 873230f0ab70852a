"""Refuses a model whose tensors keep their data outside the model's own file.

The location is a path that the model's author chose: loading such a model reads whatever it names.
Bundles never use it. The walk follows onnx.proto and skips over weights by their length.
"""

from __future__ import annotations

from runtime.errors import BundleError
from runtime.onnx_files.protobuf import fields

__all__ = ["check_self_contained"]

# Per message of onnx.proto: the number of each field that leads to a tensor, and its message.
_TENSOR = "TensorProto"
_PATHS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
    "AttributeProto": {
        5: _TENSOR,
        6: "GraphProto",
        10: _TENSOR,
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14


def check_self_contained(model: bytes | memoryview) -> None:
    """Return if every tensor of a serialized ONNX model lies in the model itself.

    Raises:
        BundleError: if one does not, or the bytes are no ONNX model.
    """
    pending = [("ModelProto", memoryview(model))]
    while pending:
        kind, message = pending.pop()
        if kind == _TENSOR:
            _check_tensor(message)
            continue
        below = _PATHS[kind]
        for number, value in fields(message):
            if number in below:
                if isinstance(value, int):
                    raise BundleError(f"not an ONNX file: field {number} of {kind} is a number")
                pending.append((below[number], value))


def _check_tensor(tensor: memoryview) -> None:
    name, location, external = "", "", False
    for number, value in fields(tensor):
        if number == _NAME and not isinstance(value, int):
            name = bytes(value).decode(errors="replace")
        elif number == _EXTERNAL_DATA and not isinstance(value, int):
            external = True
            entry = [
                bytes(v).decode(errors="replace")
                for _, v in fields(value)
                if not isinstance(v, int)
            ]
            location = entry[-1] if entry[:1] == ["location"] else location
        elif number in (_EXTERNAL_DATA, _DATA_LOCATION):
            external = external or value != 0
    if external:
        raise BundleError(
            f"the model's tensor '{name}' has its data in the file '{location}', outside the "
            "model; do not use it, or save it again with its weights inside"
        )
