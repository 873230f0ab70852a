"""Keys: what ranges were measured on, as hashes; ranges of anything else are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from calibration.images import ImageFile
from runtime.image_spec import ImageSpec

__all__ = ["DataKey", "ModelKey", "differing_parts"]


@dataclass(frozen=True, kw_only=True)
class ModelKey:
    """SHA-256 of each part of a model that its ranges depend on."""

    graph: str
    """Nodes, attributes, names, inputs and outputs: all but the weights and remarks."""
    weights: str
    """Initializers: names, types, shapes and values."""
    preprocessing: str
    """The image spec."""

    @staticmethod
    def of(graph: ir.Model, spec: ImageSpec) -> ModelKey:
        """Return the key of a graph that is fed as the spec says."""
        return ModelKey(
            graph=_sha256(_structure(graph)),
            weights=_sha256(_weights(graph)),
            preprocessing=_sha256([json.dumps(dataclasses.asdict(spec)).encode()]),
        )


@dataclass(frozen=True, kw_only=True)
class DataKey:
    """What the ranges were measured on, and how they were chosen."""

    images: str
    """SHA-256 of the files' own hashes, in order."""
    method: str
    """As it was asked for: "auto", or a name of METHODS."""

    @staticmethod
    def of(files: Sequence[ImageFile], method: str) -> DataKey:
        """Return the key of these images and this method."""
        return DataKey(images=_sha256(file.sha256.encode() for file in files), method=method)


def differing_parts(given: ModelKey | DataKey, expected: ModelKey | DataKey) -> tuple[str, ...]:
    """Return the names of the parts in which two keys of a kind differ."""
    ours, theirs = dataclasses.asdict(given), dataclasses.asdict(expected)
    return tuple(part for part in ours if ours[part] != theirs[part])


def _structure(graph: ir.Model) -> Iterator[bytes]:
    for node in graph.graph:
        message = ir.serde.serialize_node(node)
        message.doc_string = ""
        message.ClearField("metadata_props")
        yield message.SerializeToString(deterministic=True)
    for value in (*graph.graph.inputs, *graph.graph.outputs):
        yield f"{value.name} {value.dtype} {value.shape}".encode()
    yield json.dumps(sorted(graph.opset_imports.items())).encode()


def _weights(graph: ir.Model) -> Iterator[bytes]:
    for name, value in sorted(graph.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None:
            yield f"{name} {tensor.dtype} {tensor.shape}".encode()
            yield tensor.tobytes()


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        # Its length goes first, so that no two different lists run together.
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
