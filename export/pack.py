"""Packs a checked model into a bundle: the model, its golden vectors, its parity, its manifest."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime

from export.check import Check
from export.check_quantized import check_quantized
from export.load import Classifier
from export.promise_precision import promise_precision
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.manifest import (
    PIXELS_PROP,
    SCHEMA_VERSION,
    FileInfo,
    GoldenCase,
    Manifest,
    ModelInfo,
    TensorInfo,
    Variant,
    metadata_props,
)
from runtime.onnx_runner import OnnxRunner
from runtime.parity import Truth
from runtime.precision import PrecisionPromise
from runtime.publish import publish
from runtime.runner import Logits
from runtime.schema import to_json
from runtime.tensor_file import write_tensor

__all__ = ["pack", "stamp"]

MODEL_FILE = "model.onnx"
PARITY_FILE = "parity.json"

GOLDEN_NOISE_MULTIPLE = 10.0
"""How many times the float32 noise a device's logits may be off the golden ones. Wider than the
parity gate, because a device sums in another order with other instructions; a wrong pixel, weight
or layer is off by thousands."""


def stamp(graph: ir.Model, classifier: Classifier, pixels: str = "") -> bytes:
    """Return the graph as an ONNX file that knows its preprocessing and labels.

    Args:
        graph: the graph.
        classifier: where the model came from.
        pixels: the layout of the pixels the graph takes; "" if it takes normalised images.
    """
    graph.metadata_props.update(metadata_props(classifier.image, classifier.labels, pixels))
    graph.producer_name = "resnet-deploy"
    graph.producer_version = version("resnet-deploy")
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


def pack(
    output: Path,
    classifier: Classifier,
    model: ModelInfo,
    graph: ir.Model,
    data: bytes,
    verdict: Check,
) -> Bundle:
    """Publish a bundle of one float32 variant and return it.

    Args:
        output: the bundle's folder.
        classifier: where the model came from.
        model: what the manifest says of it.
        graph: the graph the data is of, stamped.
        data: the stamped ONNX file.
        verdict: of the check, which passed.

    Raises:
        BundleError: if the folder cannot be written; it is then what it was.
    """
    pixels = graph.metadata_props.get(PIXELS_PROP, "")
    files: dict[str, bytes | Path] = {MODEL_FILE: data, PARITY_FILE: to_json(verdict.report)}
    for index, truth in enumerate(verdict.golden):
        files[f"{_folder(index)}/input_0.pb"] = write_tensor(
            _name(graph.graph.inputs[0]), truth.case.images
        )
        for number, values in enumerate(_outputs(truth, graph, data)):
            files[f"{_folder(index)}/output_{number}.pb"] = write_tensor(
                _name(graph.graph.outputs[number]), values.astype(np.float32)
            )

    def describe(listed: dict[str, FileInfo]) -> Manifest:
        return Manifest(
            schema_version=SCHEMA_VERSION,
            model=model,
            weights=classifier.weights,
            image=classifier.image,
            labels=classifier.labels,
            variants={"fp32": _variant(graph, classifier.image.crop, verdict.golden, pixels)},
            golden=tuple(
                GoldenCase(folder=_folder(index), content=truth.case.content)
                for index, truth in enumerate(verdict.golden)
            ),
            tools=_tools(),
            files=listed,
            pixels=pixels,
        )

    return publish(output, files, describe)


def _outputs(truth: Truth, graph: ir.Model, data: bytes) -> list[Logits]:
    """Return the right answer by output: the rows of a head of several are parted again."""
    if len(graph.graph.outputs) == 1:
        return [truth.logits]
    shapes = [part.shape for part in OnnxRunner.open(data).outputs(truth.case.images)]
    ends = np.cumsum([np.prod(shape[1:], dtype=int) for shape in shapes])
    parts = np.split(truth.logits, ends[:-1], axis=1)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _variant(graph: ir.Model, side: int, golden: Sequence[Truth], pixels: str) -> Variant:
    opset = graph.opset_imports[""]
    assert opset is not None
    return Variant(
        file=MODEL_FILE,
        precision="float32",
        opset=opset,
        input=_tensor(graph.graph.inputs[0]),
        output=_tensor(graph.graph.outputs[0]),
        more_outputs=tuple(_tensor(value) for value in graph.graph.outputs[1:]),
        golden_tolerances=tuple(GOLDEN_NOISE_MULTIPLE * truth.noise for truth in golden),
        convolutions=_convolutions(graph, side, pixels or "NCHW"),
    )


def _convolutions(graph: ir.Model, side: int, layout: str) -> PrecisionPromise | None:
    """Return what an engine of the graph is held to; None where TensorRT would misread the graph.

    Args:
        graph: of a variant.
        side: of the model's own images, which a graph of a fixed shape need not take.
        layout: of the images the graph takes.
    """
    if len(graph.graph.outputs) != 1:  # an engine of ours is a classifier
        return None
    try:
        check_quantized(graph)
    except OptionError:
        return None
    shape = graph.graph.inputs[0].shape
    assert shape is not None
    sides = [size for axis, size in enumerate(shape) if axis not in (0, CHANNEL_AXES[layout])]
    height, width = (size if isinstance(size, int) else side for size in sides)
    return promise_precision(graph, height, width)


def _tensor(value: ir.Value) -> TensorInfo:
    dims = value.shape or ()
    return TensorInfo(
        name=_name(value),
        dtype=str(value.dtype).lower(),
        shape=tuple(str(d.value if isinstance(d, ir.SymbolicDim) else d) for d in dims),
    )


def _name(value: ir.Value) -> str:
    assert value.name is not None
    return value.name


def _folder(index: int) -> str:
    return f"test_data_set_{index}"


def _tools() -> dict[str, str]:
    libraries = ("torch", "onnx", "onnx-ir", "onnxscript", "onnxsim", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "resnet-deploy": version("resnet-deploy"),
        # Two distributions carry the module; it knows its own version.
        "onnxruntime": onnxruntime.__version__,
        **{name: version(name) for name in libraries},
    }
