"""Traces a classifier into an ONNX graph; the only caller of torch.onnx.export.

The exporter is asked for the plain graph (optimize=False): simplification belongs to one place,
simplify, or its tests would test nothing. The exporter's metadata, which holds paths of this
machine, is dropped once nodes have their names from it.

A graph for all sizes comes by one of two ways. Symbols for batch, height and width can be traced
through the module; more than half of the time then goes into their algebra. Or numbers are traced,
and the symbols put in their place afterwards. That is right when no number in the graph depends on
the size, as in every ResNet: there ONNX's own shape inference carries the symbol of the batch from
the input to the output, which one frozen number on the way would prevent. So numbers are tried
first, and symbols where that proof fails. Either way the sizes are run over the parity grid.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterator

import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, ShapeInferencePass
from onnxscript.optimizer import fold_constants

from export.classifier import Classifier
from export.name_after_modules import name_after_modules
from export.opsets import DEFAULT_OPSET, OPSETS
from export.standardize import standardize
from runtime.errors import BackendError, OptionError, TraceError

__all__ = [
    "INPUT_NAME",
    "trace",
    "trace_static",
    "trace_symbolically",
]

INPUT_NAME = "images"

# Wrong batch-norm fusion: torchvision's ResNet-18 fell to 0 % top-1.
_WRONG_ONNXSCRIPT = frozenset(f"0.5.{patch}" for patch in range(7))


def trace(classifier: Classifier, opset: int = DEFAULT_OPSET) -> ir.Model:
    """Return the classifier's graph with dynamic batch, height and width.

    Input "images", float32 [batch, channels, height, width]; output "logits", float32
    [batch, classes], or what the classifier's head gives.

    Raises:
        OptionError: if the opset is not one of OPSETS.
        TraceError: if PyTorch cannot export the module, or a dimension did not stay dynamic.
        BackendError: if the installed onnxscript is one that exports wrong graphs.
    """
    graph = _export(classifier, _example(classifier), {}, opset)
    return graph if _generalise(graph, classifier) else trace_symbolically(classifier, opset)


def trace_symbolically(classifier: Classifier, opset: int = DEFAULT_OPSET) -> ir.Model:
    """Return what `trace` returns, traced with symbols: slower, and right for every module.

    Raises:
        As `trace` does.
    """
    graph = _export(classifier, _example(classifier), _symbols(), opset)
    _name_sizes(graph)
    _check_shapes(graph, classifier, ["batch", "height", "width"])
    return graph


def trace_static(
    classifier: Classifier, shape: tuple[int, int, int, int], opset: int = DEFAULT_OPSET
) -> ir.Model:
    """Return the classifier's graph for inputs of one shape [batch, channels, height, width].

    Raises:
        OptionError: if the opset is not one of OPSETS, or the channels are not the classifier's.
        TraceError: if PyTorch cannot export the module.
        BackendError: if the installed onnxscript is one that exports wrong graphs.
    """
    if shape[1] != classifier.in_channels or min(shape) < 1:
        raise OptionError(
            f"static shape: given {'x'.join(map(str, shape))}; expected positive sizes and "
            f"{classifier.in_channels} channels (batch x channels x height x width)"
        )
    graph = _export(classifier, torch.zeros(shape), {}, opset)
    _check_shapes(graph, classifier, [str(shape[index]) for index in (0, 2, 3)])
    return graph


def _export(
    classifier: Classifier, example: torch.Tensor, dynamic: dict[int, torch.export.Dim], opset: int
) -> ir.Model:
    if opset not in OPSETS:
        raise OptionError(f"opset: given {opset}; expected {OPSETS.start} to {OPSETS.stop - 1}")
    _refuse_wrong_exporters()
    try:
        with _quiet_and_unhurried():
            program = torch.onnx.export(
                classifier.module,
                (example,),
                dynamo=True,
                dynamic_shapes=(dynamic,),
                input_names=[INPUT_NAME],
                output_names=list(classifier.outputs),
                opset_version=opset,
                optimize=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises dozens of types, the module's own among them
        raise TraceError(
            f"PyTorch could not export {classifier.name}: {_reason(error)}; if it takes images of "
            "one size alone, give it with --static"
        ) from error
    assert program is not None  # only with f=..., which is not used here
    graph = program.model
    name_after_modules(graph.graph)
    return ClearMetadataAndDocStringPass()(graph).model


def _reason(error: BaseException) -> str:
    """Return what happened in the module, which the exporter wraps into pages of its own advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else repr(error)


def _example(classifier: Classifier) -> torch.Tensor:
    side = classifier.image.crop
    # Two images, height != width: torch.export specialises sizes 0 and 1, and sizes that are equal.
    return torch.zeros(2, classifier.in_channels, side, side + 32)


def _symbols() -> dict[int, torch.export.Dim]:
    height, width = (torch.export.Dim(name, min=1) for name in ("height", "width"))
    return {0: torch.export.Dim("batch"), 2: height, 3: width}


def _generalise(graph: ir.Model, classifier: Classifier) -> bool:
    """Put symbols in the place of the traced sizes; return whether they reach the output."""
    fold_constants(graph)  # the shape of a Reshape is put together from several
    standardize(graph)  # a Reshape that is a Flatten holds the batch as a number
    for value in (*graph.graph.outputs, *(v for node in graph.graph for v in node.outputs)):
        value.shape = None
    graph.graph.inputs[0].shape = ir.Shape(["batch", classifier.in_channels, "height", "width"])
    ShapeInferencePass()(graph)
    _name_sizes(graph)
    return all(_is_right(value, classifier, "batch") for value in graph.graph.outputs)


def _refuse_wrong_exporters() -> None:
    version = importlib.metadata.version("onnxscript")
    if version in _WRONG_ONNXSCRIPT:
        raise BackendError(
            f"onnxscript {version} exports wrong ResNets. Run: pip install 'onnxscript>=0.5.7'"
        )


@contextlib.contextmanager
def _quiet_and_unhurried() -> Iterator[None]:
    """Silence the exporter, and spare it the cyclic garbage collector.

    It warns of itself, logs the traceback of what it raises, and may print the whole graph.

    Tracing makes millions of small objects that live to its end; collecting in between costs a
    tenth of the time and frees nothing.
    """
    was_enabled, was_disabled = gc.isenabled(), logging.root.manager.disable
    gc.disable()
    logging.disable()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(was_disabled)
        if was_enabled:
            gc.enable()


def _check_shapes(graph: ir.Model, classifier: Classifier, sizes: list[str]) -> None:
    """Refuse a graph whose declared shapes are not the ones that were asked for.

    Args:
        graph: as it was traced.
        classifier: what it was traced of.
        sizes: batch, height and width, as numbers or as names.
    """
    batch, height, width = sizes
    expected = [batch, str(classifier.in_channels), height, width]
    for value, right in (
        (graph.graph.inputs[0], _dims(graph.graph.inputs[0]) == expected),
        *((value, _is_right(value, classifier, batch)) for value in graph.graph.outputs),
    ):
        if not right:
            raise TraceError(
                f"the exporter gave {value.name} the shape [{', '.join(_dims(value))}], for images "
                f"[{', '.join(expected)}] and {classifier.classes} classes: the model fixes a "
                "dimension; try --static"
            )


def _name_sizes(graph: ir.Model) -> None:
    """Name the sizes of maps after their output, where inference made up a name or had none."""
    for value in graph.graph.outputs:
        dims = value.shape or ()
        if len(dims) == 4:
            names = (None, None, f"{value.name}_height", f"{value.name}_width")
            value.shape = ir.Shape(
                name if name and not isinstance(dim, int) else dim
                for dim, name in zip(dims, names, strict=True)
            )


def _is_right(value: ir.Value, classifier: Classifier, batch: str) -> bool:
    """Return whether an output is one row an image, or one of several maps of its size."""
    dims = _dims(value)
    if len(classifier.outputs) == 1:
        return dims == [batch, str(classifier.classes)]
    free = not batch.isdigit()
    return len(dims) == 4 and dims[0] == batch and all(d.isdigit() != free for d in dims[2:])


def _dims(value: ir.Value) -> list[str]:
    return [str(d.value if isinstance(d, ir.SymbolicDim) else d) for d in value.shape or ()]
