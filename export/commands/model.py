"""`python -m export NAME`: makes a bundle of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.arguments import (
    PRECISION_WORDS,
    CalibrationData,
    CalibrationImages,
    Channels,
    Classes,
    Crop,
    EdgeName,
    Ema,
    EvalData,
    EvalImages,
    FromRgb,
    Head,
    Init,
    Input,
    Int8Rest,
    Interpolation,
    Json,
    KeepFloat,
    Labels,
    ListModels,
    MaxDrop,
    Mean,
    Method,
    Name,
    Onnx,
    Opset,
    Output,
    ParityBudget,
    Precisions,
    Quiet,
    Ranges,
    Resize,
    Seed,
    Static,
    Std,
    Tensorrt,
    Weights,
    parse_input,
    parse_numbers,
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
    TimingCache,
    VersionCompatible,
    Workspace,
    engine_requests,
)
from runtime.command_line import split_words
from runtime.engines.options import EngineOptions
from runtime.errors import OptionError
from runtime.terminal import Screen, instant_interrupt

if TYPE_CHECKING:
    from export.delivery.deliver import Order
    from export.delivery.edge import Edge
    from runtime.building.orders import EngineRequest

__all__ = ["model"]

WORD_LISTS = {"--rtx": GPU_TARGETS, **PRECISION_WORDS}


def model(
    name: Name = "",
    onnx: Onnx = False,
    list_models: ListModels = False,
    output: Output = None,
    weights: Weights = "",
    ema: Ema = False,
    seed: Seed = 0,
    init: Init = "",
    classes: Classes = None,
    channels: Channels = None,
    from_rgb: FromRgb = "",
    head: Head = "logits",
    labels: Labels = None,
    resize: Resize = None,
    crop: Crop = None,
    mean: Mean = "",
    std: Std = "",
    interpolation: Interpolation = None,
    opset: Opset = 18,
    static: Static = "",
    input: Input = "float32",
    parity_budget: ParityBudget = 12.0,
    precision: Precisions = "fp32",
    calibration_data: CalibrationData = None,
    calibration_images: CalibrationImages = 512,
    method: Method = "auto",
    ranges: Ranges = None,
    eval_data: EvalData = None,
    eval_images: EvalImages = 256,
    int8_rest: Int8Rest = "fp32",
    keep_float: KeepFloat = "",
    max_drop: MaxDrop = 0.1,
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
    timing_cache: TimingCache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a model, checked against PyTorch over a grid of shapes."""
    screen = Screen(json=json, quiet=quiet)
    require_extra()
    if list_models:
        _list_models(screen)
        return
    _refuse_nothing(name, edge, onnx=onnx)
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
    # Refused, if need be, before seconds go into importing PyTorch.
    requests = engine_requests(engine_options, profile, rtx, tensorrt=tensorrt)
    plain = _plain_request(engine_options, profile, needed=bool(requests or edge))
    with instant_interrupt():
        from export.delivery.deliver import Order
        from export.load import LoadOptions
        from export.variants.order import PrecisionOrder

    pack = _pack_for(edge, opset, requests, plain)
    order = Order(
        name=name,
        options=LoadOptions(
            weights=weights,
            ema=ema,
            seed=seed,
            init=init,
            classes=classes,
            channels=channels,
            from_rgb=from_rgb,
            head=head,
            labels=labels,
            resize=resize,
            crop=crop,
            mean=parse_numbers("--mean", mean),
            std=parse_numbers("--std", std),
            interpolation=interpolation,
        ),
        output=output or Path("artifacts") / _folder(name, weights, edge),
        opset=opset,
        static_shape=parse_shape(static),
        pixels=parse_input(input),
        parity_budget_gmacs=parity_budget,
        precision=PrecisionOrder(
            precisions=parse_precisions(precision),
            calibration_data=calibration_data,
            ranges=ranges,
            eval_data=eval_data,
            images=calibration_images,
            eval_images=eval_images,
            method=method,
            int8_rest=int8_rest,
            keep_float=split_words(keep_float),
            max_drop=max_drop,
        ),
        engines=requests if pack is None else (*requests, pack[1]),
    )
    _export(order, requests, pack, timing_cache, screen)


def _list_models(screen: Screen) -> None:
    from export.delivery.show import show_catalogue

    show_catalogue(screen)


def _refuse_nothing(name: str, edge: str, *, onnx: bool) -> None:
    if not name:
        raise OptionError(
            "no model given; see them with --list, then: python -m export NAME --onnx"
        )
    if not onnx and not edge:
        raise OptionError(f"nothing to make of {name}; say what: python -m export {name} --onnx")


def _plain_request(
    options: EngineOptions, profiles: Sequence[str], *, needed: bool
) -> EngineRequest:
    """Return how to build engines of TensorRT."""
    from runtime.building.orders import EngineRequest

    if profiles and not needed:
        raise OptionError("--profile: given without engines; expected --tensorrt, --rtx or --edge")
    return EngineRequest(options=options, profiles=tuple(profiles))


def _pack_for(
    edge: str, opset: int, requests: Sequence[EngineRequest], plain: EngineRequest
) -> tuple[Edge, EngineRequest] | None:
    """Return the kind of device, and how engines are to be built on it; None if for none."""
    if not edge:
        return None
    from export.delivery.edge import find_edge
    from export.delivery.equip import device_request

    device = find_edge(edge, opset)
    return device, device_request(requests, device, plain)


def _export(
    order: Order,
    requests: Sequence[EngineRequest],
    pack: tuple[Edge, EngineRequest] | None,
    timings: Path | None,
    screen: Screen,
) -> None:
    from export.delivery.deliver import deliver
    from export.delivery.equip import equip
    from export.delivery.show import show_delivery, show_misfits
    from export.weights.diagnose import MisfitError
    from runtime.building.show import raise_failures

    try:
        delivery = deliver(order, screen)
    except MisfitError as error:
        show_misfits(error.diagnosis, screen)
        raise
    equipment = equip(delivery.bundle, requests, pack, timings, screen)
    show_delivery(delivery, equipment, screen)
    raise_failures(equipment.engines, screen)


def _folder(name: str, weights: str, edge: str) -> str:
    """Return the folder of a bundle nobody named: a name that is no plain word cannot be one."""
    plain = Path(weights).stem if name == "auto" else name
    plain += f"-{edge}" if edge else ""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in plain) or name
