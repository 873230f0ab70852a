"""`python -m export plan`: says what engines would be built."""

from __future__ import annotations

from typing import Annotated

import typer

from export.arguments import (
    PRECISION_WORDS,
    Channels,
    Classes,
    Crop,
    EdgeName,
    Input,
    Name,
    Opset,
    Precisions,
    Resize,
    Static,
    Tensorrt,
    parse_input,
    parse_precisions,
    parse_shape,
    require_extra,
)
from export.load_options import LoadOptions
from export.opsets import DEFAULT_OPSET
from runtime.arguments import Json, Quiet
from runtime.building.arguments import ENGINE_WORDS, EngineArguments
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

__all__ = ["plan"]

WORD_LISTS = {**ENGINE_WORDS, **PRECISION_WORDS}


def plan(
    name: Name,
    *,
    weights: Annotated[str, typer.Option(help="A checkpoint file, as export takes it.")] = "",
    classes: Classes = None,
    channels: Channels = None,
    resize: Resize = None,
    crop: Crop = None,
    precision: Precisions = "fp32",
    edge: EdgeName = "",
    tensorrt: Tensorrt = False,
    engines: EngineArguments,
    opset: Opset = DEFAULT_OPSET,
    static: Static = "",
    input: Input = "float32",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which engines would be built, where, and if they can be.

    Nothing is built.
    """
    require_extra()
    requests = engines.requests(tensorrt=tensorrt)
    from export.delivery.edge import device_request, find_edge
    from export.delivery.order import PlanOrder

    device = find_edge(edge, opset) if edge else None
    if not requests:
        request = engines.for_tensorrt()
        requests = (request if device is None else device_request((), device, request),)
    order = PlanOrder(
        name=name,
        options=LoadOptions(
            weights=weights, classes=classes, channels=channels, resize=resize, crop=crop
        ),
        shape=parse_shape(static),
        opset=opset,
        pixels=parse_input(input),
        precisions=parse_precisions(precision),
    )
    with instant_interrupt():
        from export.delivery.plan import plan
        from export.delivery.show_plan import show_plan

    show_plan(plan(order, device, requests), Screen(json=json, quiet=quiet))
