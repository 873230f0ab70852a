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
    Json,
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
from runtime.building.arguments import (
    GPU_TARGETS,
    Dla,
    HardwareCompatible,
    Level,
    Profiles,
    Refit,
    Rtx,
    Strip,
    Tf32,
    VersionCompatible,
    Workspace,
    engine_requests,
)
from runtime.engines.options import EngineOptions
from runtime.terminal import Screen

__all__ = ["plan"]

WORD_LISTS = {"--rtx": GPU_TARGETS, "--precision": PRECISION_WORDS["--precision"]}


def plan(
    name: Name,
    weights: Annotated[str, typer.Option(help="A checkpoint file, as export takes it.")] = "",
    classes: Classes = None,
    channels: Channels = None,
    resize: Resize = None,
    crop: Crop = None,
    precision: Precisions = "fp32",
    tensorrt: Tensorrt = False,
    rtx: Rtx = "",
    edge: EdgeName = "",
    profile: Profiles = [],  # noqa: B006 (Typer makes a new one)
    workspace: Workspace = None,
    level: Level = 3,
    tf32: Tf32 = False,
    hardware_compatible: HardwareCompatible = "none",
    version_compatible: VersionCompatible = False,
    strip: Strip = False,
    refit: Refit = False,
    dla: Dla = None,
    opset: Opset = 18,
    static: Static = "",
    input: Input = "float32",
    json: Json = False,
) -> None:
    """Say what engines would be built of a model, where, and whether they can be; build nothing."""
    require_extra()
    engine_options = EngineOptions(
        workspace_mib=workspace,
        optimization_level=level,
        tf32=tf32,
        hardware_compatibility=hardware_compatible,
        version_compatible=version_compatible,
        refit=refit,
        strip_weights=strip,
        dla_core=dla,
    )
    requests = engine_requests(engine_options, profile, rtx, tensorrt=tensorrt)
    from export.delivery.edge import find_edge
    from export.delivery.equip import device_request
    from export.delivery.plan import PlanOrder, plan
    from export.delivery.show_plan import show_plan
    from export.load import LoadOptions
    from runtime.building.orders import EngineRequest

    device = find_edge(edge, opset) if edge else None
    if not requests:
        request = EngineRequest(options=engine_options, profiles=tuple(profile))
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
    show_plan(plan(order, device, requests), Screen(json=json))
