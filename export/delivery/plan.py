"""Says what engines would be built of a model, where, and whether they can be; builds nothing.

The model is only counted: a plan takes a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from export.delivery.edge import Edge
from export.delivery.input_shape import input_shape
from export.delivery.order import PlanOrder
from export.delivery.pack_edge import trtexec_commands
from export.load import load
from export.load_options import LoadOptions
from export.models.catalogue import find
from export.models.channels import for_channels
from export.models.count import count_macs, count_parameters
from export.pixels import INPUT_NAME as PIXELS_NAME
from export.prepare_image import prepare_image
from export.trace import INPUT_NAME as IMAGES_NAME
from runtime.building.orders import EngineOrder, EngineRequest, order_engines
from runtime.building.preflight import Machine, Preflight, look_around, preflight
from runtime.cuda.gpu import Gpu
from runtime.image_spec import ImageSpec
from runtime.precision import PrecisionPromise
from runtime.variant import TensorInfo, Variant

__all__ = ["Plan", "PlannedEngine", "plan"]

_BYTES = {"float32": 4, "float16": 2, "int8": 1}
"""Of a parameter."""
_PLANNED = (
    ("fp32", "fp32", "float32"),
    ("fp16", "fp16", "float16"),
    ("int8", "int8.trt", "int8"),
)
"""What is asked for, the variant it makes, and its precision."""

# The smallest of its family, so that what fits there fits anywhere.
_JETSON = Machine(
    name="Jetson Orin Nano 8 GB, JetPack 6",
    gpu=Gpu(name="Orin", sm="sm87", memory_mib=7620, cuda="12.6", integrated=True),
    memory_mib=None,
    swap_mib=0,
    tensorrt={"tensorrt": "10.3.0"},
)


@dataclass(frozen=True, kw_only=True)
class PlannedEngine:
    """An engine that would be built."""

    order: EngineOrder
    version: str
    """Of the library that would build it; empty where it is missing."""
    preflight: Preflight


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be built."""

    model: str
    parameters: int
    macs: int
    machine: str
    engines: tuple[PlannedEngine, ...]
    trtexec: tuple[str, ...]
    """The commands of NVIDIA's own tool, each behind a comment that says for which release."""


def plan(order: PlanOrder, edge: Edge | None, requests: Sequence[EngineRequest]) -> Plan:
    """Return what would be built of a model.

    Args:
        order: the model and its variants.
        edge: the kind of device; None is this machine.
        requests: the engines.

    Raises:
        UnknownModelError: if there is no such model.
        CheckpointError: if its weights cannot be read, or are not the model's.
        OptionError: if the options cannot be had together, or are not the model's.
    """
    model = _model(order.name, order.options)
    side = model.image.crop
    parameters = count_parameters(model.module)
    macs = count_macs(model.module, model.channels, side, side)
    variants = dict(_variants(order, model, macs))
    machine = _machine(edge)
    orders = [
        each
        for request in requests
        for each in order_engines(variants, model.image, request, order.pixels)
    ]
    own = [each for each in orders if each.options.flavour == "tensorrt"]
    return Plan(
        model=model.name,
        parameters=parameters,
        macs=macs,
        machine=machine.name,
        engines=tuple(
            PlannedEngine(
                order=each,
                version=machine.tensorrt.get(each.options.flavour, ""),
                preflight=preflight(
                    each,
                    parameters * _BYTES[variants[each.engine.variant].precision],
                    machine,
                ),
            )
            for each in orders
        ),
        trtexec=tuple(trtexec_commands(variants, own, edge.majors if edge else (10, 11))),
    )


@dataclass(frozen=True)
class _Model:
    name: str
    module: nn.Module
    image: ImageSpec
    channels: int
    classes: int


def _model(name: str, options: LoadOptions) -> _Model:
    """Return what is counted: without weights, unless only they tell what the model is."""
    if options.weights or ":" in name or name == "auto":
        found = load(name, options)
        return _Model(found.name, found.module, found.image, found.in_channels, found.classes)
    card = find(name)
    channels, classes = options.channels or card.channels, options.classes or card.classes
    image = card.image if channels == card.channels else for_channels(card.image, channels)
    with torch.device("meta"):
        module = card.build(classes=classes, channels=channels)
    return _Model(name, module, prepare_image(image, options), channels, classes)


def _variants(order: PlanOrder, model: _Model, macs: int) -> Iterator[tuple[str, Variant]]:
    """Yield the variants that TensorRT would read; float32 is always one."""
    shape = input_shape(order.shape, model.channels, order.pixels)
    side = model.image.crop
    for wanted, name, precision in _PLANNED:
        if wanted in order.precisions or wanted == "fp32":
            yield (
                name,
                Variant(
                    file="model.onnx" if name == "fp32" else f"model.{name}.onnx",
                    precision=precision,
                    opset=order.opset,
                    input=TensorInfo(
                        name=PIXELS_NAME if order.pixels else IMAGES_NAME,
                        dtype="uint8" if order.pixels else "float",
                        shape=shape,
                    ),
                    output=TensorInfo(
                        name="logits", dtype="float", shape=("batch", str(model.classes))
                    ),
                    golden_tolerances=(),
                    convolutions=PrecisionPromise(height=side, width=side, macs={precision: macs}),
                ),
            )


def _machine(edge: Edge | None) -> Machine:
    """Return where engines would be built: an RTX card's are built here, and need none."""
    return _JETSON if edge is not None and edge.name == "jetson" else look_around()
