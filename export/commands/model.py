"""`python -m export NAME`: makes a bundle of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export.arguments import (
    PRECISION_WORDS,
    CalibrationData,
    CalibrationImages,
    EdgeName,
    EvalData,
    EvalImages,
    Input,
    Int8Rest,
    Json,
    KeepFloat,
    MaxDrop,
    Method,
    Opset,
    Precisions,
    Quiet,
    Ranges,
    Static,
    Tensorrt,
    parse_input,
    parse_numbers,
    parse_precisions,
    parse_shape,
    require_extra,
    split_words,
)
from runtime.engine_arguments import (
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
from runtime.engine_options import EngineOptions
from runtime.errors import OptionError
from runtime.terminal import Screen, instant_interrupt

__all__ = ["model"]

WORD_LISTS = {"--rtx": GPU_TARGETS, **PRECISION_WORDS}


def model(
    name: Annotated[str, typer.Argument(help="A name of --list, or auto: the weights tell.")] = "",
    onnx: Annotated[bool, typer.Option("--onnx", help="Make an ONNX bundle.")] = False,
    list_models: Annotated[bool, typer.Option("--list", help="Show every model.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="The bundle's folder.  [default: artifacts/NAME]")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="random, imagenet, or a checkpoint file; what suits, if not given.")
    ] = "",
    ema: Annotated[
        bool, typer.Option("--ema", help="Take the file's average over steps (EMA).")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of random weights.")] = 0,
    init: Annotated[
        str, typer.Option(help="Law of random weights: scattered, kaiming, torch, normal.")
    ] = "",
    classes: Annotated[int | None, typer.Option(min=1, help="Number of classes.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Number of input channels.")] = None,
    from_rgb: Annotated[
        str, typer.Option(help="RGB weights for --channels N: repeat, mean, sum, luma, adapter.")
    ] = "",
    head: Annotated[
        str, typer.Option(help="What it gives: logits, features or stages.")
    ] = "logits",
    labels: Annotated[Path | None, typer.Option(help="Text file, one label a line.")] = None,
    resize: Annotated[int | None, typer.Option(help="Shorter side, in pixels.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the centre crop, in pixels.")] = None,
    mean: Annotated[str, typer.Option(help="M[,M,M], for values of 0 to 1.")] = "",
    std: Annotated[str, typer.Option(help="S[,S,S], for values of 0 to 1.")] = "",
    interpolation: Annotated[str | None, typer.Option(help="bilinear or bicubic.")] = None,
    opset: Opset = 18,
    static: Static = "",
    input: Input = "float32",
    parity_budget: Annotated[
        float, typer.Option(min=0, help="Cost of the parity grid, in 10^9 multiply-accumulates.")
    ] = 12.0,
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
        from export.show import show_catalogue

        show_catalogue(screen)
        return
    if not name:
        raise OptionError(
            "no model given; see them with --list, then: python -m export NAME --onnx"
        )
    if not onnx and not edge:
        raise OptionError(f"nothing to make of {name}; say what: python -m export {name} --onnx")
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
    with instant_interrupt():
        from export.deliver import Order, deliver
        from export.diagnose import MisfitError
        from export.edge import find_edge
        from export.equip import device_request, equip
        from export.load import LoadOptions
        from export.show import show_delivery, show_misfits
        from export.variants.order import PrecisionOrder
        from runtime.engine_orders import EngineRequest
        from runtime.show_engines import raise_failures

    precisions = PrecisionOrder(
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
    )
    device = find_edge(edge, opset) if edge else None
    plain = EngineRequest(options=engine_options, profiles=tuple(profile))
    packed = None if device is None else (device, device_request(requests, device, plain))
    options = LoadOptions(
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
    )
    order = Order(
        name=name,
        options=options,
        output=output or Path("artifacts") / _folder(name, weights, edge),
        opset=opset,
        static_shape=parse_shape(static),
        pixels=parse_input(input),
        parity_budget_gmacs=parity_budget,
        precision=precisions,
    )
    try:
        delivery = deliver(order, screen)
    except MisfitError as error:
        show_misfits(error.diagnosis, screen)
        raise
    equipment = equip(delivery.bundle, requests, packed, timing_cache, screen)
    show_delivery(delivery, equipment, screen)
    raise_failures(equipment.engines, screen)


def _folder(name: str, weights: str, edge: str) -> str:
    """Return the folder of a bundle nobody named: a name that is no plain word cannot be one."""
    plain = Path(weights).stem if name == "auto" else name
    plain += f"-{edge}" if edge else ""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in plain) or name
