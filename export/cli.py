"""The command line of export: options -> one order -> text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runtime.engine_arguments import (
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
    join_targets,
)
from runtime.engine_options import EngineOptions
from runtime.errors import BackendMissingError, OptionError, VerdictError
from runtime.terminal import Screen, instant_interrupt, run

__all__ = ["main"]

COMMANDS = ("model", "inspect", "plan")
"""Subcommands by name; whatever else stands first is the name of a model to export."""

Tensorrt = Annotated[bool, typer.Option("--tensorrt", help="Build with TensorRT; needs a GPU.")]
EdgeName = Annotated[
    str, typer.Option(metavar="KIND", help="Pack for a device: jetson, rtx or generic.")
]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Take a PyTorch ResNet to ONNX, and prove that it arrived unchanged.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] not in [[command] for command in COMMANDS]:
        arguments.insert(0, "model")
    return run(app, "python -m export", join_targets(arguments))


@app.callback()
def commands() -> None:
    """Take a PyTorch ResNet to ONNX, and prove that it arrived unchanged."""


@app.command()
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
    opset: Annotated[int, typer.Option(help="ONNX opset, 18 to 23.")] = 18,
    static: Annotated[str, typer.Option(help="Fix the shape: BATCHxCHANNELSxHEIGHTxWIDTH.")] = "",
    parity_budget: Annotated[
        float, typer.Option(min=0, help="Cost of the parity grid, in 10^9 multiply-accumulates.")
    ] = 12.0,
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print results only.")] = False,
) -> None:
    """Export a model, checked against PyTorch over a grid of shapes."""
    screen = Screen(json=json, quiet=quiet)
    _require_extra()
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
        from runtime.engine_orders import EngineRequest
        from runtime.show_engines import raise_failures

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
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        interpolation=interpolation,
    )
    order = Order(
        name=name,
        options=options,
        output=output or Path("artifacts") / _folder(name, weights, edge),
        opset=opset,
        static_shape=_shape(static),
        parity_budget_gmacs=parity_budget,
    )
    try:
        delivery = deliver(order, screen)
    except MisfitError as error:
        show_misfits(error.diagnosis, screen)
        raise
    equipment = equip(delivery.bundle, requests, packed, timing_cache, screen)
    show_delivery(delivery, equipment, screen)
    raise_failures(equipment.engines, screen)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A .safetensors, .pth or .pt file.")],
    ema: Annotated[
        bool, typer.Option("--ema", help="Look at the average over steps (EMA).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print results only.")] = False,
) -> None:
    """Say what model a weights file is of, and whether it is whole and sound."""
    _require_extra()
    from export.inspect_checkpoint import inspect_checkpoint
    from export.show_inspection import show_inspection

    inspection = inspect_checkpoint(file, ema=ema)
    show_inspection(inspection, Screen(json=json, quiet=quiet))
    if inspection.problem:
        raise VerdictError(inspection.problem)


@app.command()
def plan(
    name: Annotated[str, typer.Argument(help="A name of --list.")],
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
    opset: Annotated[int, typer.Option(help="ONNX opset, 18 to 23.")] = 18,
    static: Annotated[str, typer.Option(help="Fix the shape: BATCHxCHANNELSxHEIGHTxWIDTH.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what engines would be built of a model, where, and whether they can be; build nothing."""
    _require_extra()
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
    from export.edge import find_edge
    from export.equip import device_request
    from export.plan import plan
    from export.show_plan import show_plan
    from runtime.engine_orders import EngineRequest

    device = find_edge(edge, opset) if edge else None
    if not requests:
        request = EngineRequest(options=engine_options, profiles=tuple(profile))
        requests = (request if device is None else device_request((), device, request),)
    show_plan(plan(name, _shape(static), device, requests, opset), Screen(json=json))


def _folder(name: str, weights: str, edge: str) -> str:
    """Return the folder of a bundle nobody named: a name that is no plain word cannot be one."""
    plain = Path(weights).stem if name == "auto" else name
    plain += f"-{edge}" if edge else ""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in plain) or name


def _require_extra() -> None:
    """Say in one line what to install, where only the base install is at hand."""
    import importlib.util

    for module in ("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors"):
        if importlib.util.find_spec(module) is None:
            raise BackendMissingError(
                f"export needs the package '{module}'. Run: pip install 'resnet-deploy[export]'"
            )


def _numbers(option: str, text: str) -> tuple[float, ...] | None:
    if not text:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise OptionError(
            f"{option}: given '{text}'; expected numbers with commas between, such as 0.5,0.5,0.5"
        ) from None


def _shape(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(
            f"--static: given '{text}'; expected BATCHxCHANNELSxHEIGHTxWIDTH, such as 1x3x224x224"
        )
    batch, channels, height, width = map(int, parts)
    return batch, channels, height, width
