"""Says what engines would be built of a model, where, and whether they can be; builds nothing.

The model is only counted, without weights: a plan takes a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from export.edge import Edge, trtexec_commands
from export.models.catalogue import find
from export.models.count import count_macs, count_parameters
from export.pixels import INPUT_NAME as PIXELS_NAME
from export.trace import INPUT_NAME as IMAGES_NAME
from runtime.engine_orders import EngineOrder, EngineRequest, order_engines
from runtime.gpu import Gpu
from runtime.image_spec import CHANNEL_AXES
from runtime.manifest import TensorInfo, Variant
from runtime.precision import PrecisionPromise
from runtime.preflight import Machine, Preflight, look_around, preflight

__all__ = ["Plan", "PlannedEngine", "plan"]

_BYTES_PER_PARAMETER = 4

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


def plan(
    name: str,
    shape: tuple[int, int, int, int] | None,
    edge: Edge | None,
    requests: Sequence[EngineRequest],
    opset: int,
    pixels: str = "",
) -> Plan:
    """Return what would be built of a model of the catalogue.

    Args:
        name: of the model.
        shape: [batch, channels, height, width] that is fixed; None keeps all but channels dynamic.
        edge: the kind of device; None is this machine.
        requests: the engines.
        opset: of the graph.
        pixels: the layout of a graph that takes pixels; "" for one that takes normalised images.

    Raises:
        UnknownModelError: if there is no such model.
        OptionError: if the options cannot be had together, or are not the model's.
    """
    card = find(name)
    with torch.device("meta"):
        module = card.build(classes=card.classes, channels=card.channels)
    side = card.image.crop
    parameters = count_parameters(module)
    macs = count_macs(module, card.channels, side, side)
    dimensions = list(map(str, shape or ("batch", card.channels, "height", "width")))
    dimensions.insert(CHANNEL_AXES[pixels or "NCHW"], dimensions.pop(1))
    variant = Variant(
        file="model.onnx",
        precision="float32",
        opset=opset,
        input=TensorInfo(
            name=PIXELS_NAME if pixels else IMAGES_NAME,
            dtype="uint8" if pixels else "float",
            shape=tuple(dimensions),
        ),
        output=TensorInfo(name="logits", dtype="float", shape=("batch", str(card.classes))),
        golden_tolerances=(),
        convolutions=PrecisionPromise(height=side, width=side, macs={"float32": macs}),
    )
    variants = {"fp32": variant}
    machine = _machine(edge)
    orders = [
        order
        for request in requests
        for order in order_engines(variants, card.image, request, pixels)
    ]
    own = [order for order in orders if order.options.flavour == "tensorrt"]
    return Plan(
        model=name,
        parameters=parameters,
        macs=macs,
        machine=machine.name,
        engines=tuple(
            PlannedEngine(
                order=order,
                version=machine.tensorrt.get(order.options.flavour, ""),
                preflight=preflight(order, parameters * _BYTES_PER_PARAMETER, machine),
            )
            for order in orders
        ),
        trtexec=tuple(trtexec_commands(variants, own, edge.majors if edge else (10, 11))),
    )


def _machine(edge: Edge | None) -> Machine:
    """Return where engines would be built: an RTX card's are built here, and need none."""
    return _JETSON if edge is not None and edge.name == "jetson" else look_around()
