"""In which precision the convolutions of an engine really run, as TensorRT's inspector tells it.

For each layer that computes a convolution the inspector names the type of its weights, their
number and the shape of its output: weights times pixels are the multiply-accumulates of one image.
TensorRT 10 and 11 have two schemas, which differ in what they say of tensors and bindings:

    10    "Bindings": ["images", ...]             tensors with "Format/Datatype"
    11    "I/O Tensors": [{"Name": ...}, ...]     tensors with "Format" and "DataType"

A convolution that was compiled into a larger kernel shows no weights. It is not guessed at: what
the inspector does not show is missing from the sum.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from runtime.engines.profile import Shape
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["PRECISIONS", "inspect_engine", "read_precision"]

PRECISIONS = {
    "Int8": "int8",
    "FP8": "float8",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Float": "float32",
}
"""What the inspector calls a type of weights, and what this project does."""


def inspect_engine(library: TensorRt, engine: tensorrt.ICudaEngine, shape: Shape) -> str:
    """Return the inspector's document of an engine, in the schema of that TensorRT.

    Args:
        library: of the engine's flavour.
        engine: built with detailed profiling verbosity, as `build` does.
        shape: of images within its first profile; it decides which kernels run.

    Raises:
        EngineError: if TensorRT refuses.
    """
    trt = library.module
    # Nothing will run: no working memory is needed.
    context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    name = engine.get_tensor_name(0)
    if context is None or not context.set_input_shape(name, shape):
        raise EngineError(f"TensorRT cannot inspect this engine: {library.take_errors()}")
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    document: str = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    if not document:
        raise EngineError(f"TensorRT cannot inspect this engine: {library.take_errors()}")
    return document


def read_precision(document: str) -> dict[str, int]:
    """Return the multiply-accumulates of the convolutions for one image, by precision.

    Raises:
        EngineError: if the document is of neither schema, or was made without details.
    """
    macs: dict[str, int] = {}
    for layer in _layers(document):
        weights = layer.get("Weights")
        if layer.get("ParameterType") != "Convolution" or not isinstance(weights, dict):
            continue
        try:
            pixels = math.prod(layer["Outputs"][0]["Dimensions"][2:])
            kind, count = str(weights["Type"]), int(weights["Count"])
        except (LookupError, TypeError, ValueError):
            raise EngineError(
                f"the inspector's layer '{layer.get('Name')}' is unreadable"
            ) from None
        if pixels <= 0:
            raise EngineError(
                f"the inspector shows no size for '{layer.get('Name')}'; expected a shape to be set"
            )
        precision = PRECISIONS.get(kind, kind.lower())
        macs[precision] = macs.get(precision, 0) + count * pixels
    return macs


def _layers(document: str) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(document)
    except ValueError as error:
        raise EngineError(f"the inspector's document is not JSON: {error}") from None
    known = isinstance(parsed, dict) and ("Bindings" in parsed or "I/O Tensors" in parsed)
    layers = parsed.get("Layers") if known else None
    if not isinstance(layers, list):
        raise EngineError("the inspector's document is of no schema that TensorRT 10 or 11 writes")
    if not all(isinstance(layer, dict) for layer in layers):
        raise EngineError("the engine was built without details for the inspector; build it again")
    return layers
