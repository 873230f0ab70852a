"""`python -m export NAME`: makes a bundle of a model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.arguments import (
    EdgeName,
    Input,
    Name,
    Opset,
    Static,
    Tensorrt,
    parse_input,
    parse_shape,
    require_extra,
)
from export.load_arguments import LoadArguments
from export.opsets import DEFAULT_OPSET
from export.variants.arguments import VARIANT_WORDS, PrecisionArguments
from runtime.arguments import Json, Quiet
from runtime.building.arguments import ENGINE_WORDS, EngineArguments, TimingCache
from runtime.errors import OptionError
from runtime.guard import instant_interrupt
from runtime.terminal import Screen

if TYPE_CHECKING:
    from export.delivery.edge import Edge
    from export.delivery.order import Order
    from runtime.building.orders import EngineRequest

__all__ = ["model"]

WORD_LISTS = {**ENGINE_WORDS, **VARIANT_WORDS}


def model(
    name: Name = "",
    *,
    onnx: Annotated[bool, typer.Option("--onnx", help="Make an ONNX bundle.")] = False,
    list_models: Annotated[bool, typer.Option("--list", help="Show every model.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="The bundle's folder.  [default: artifacts/NAME]")
    ] = None,
    load: LoadArguments,
    opset: Opset = DEFAULT_OPSET,
    static: Static = "",
    input: Input = "float32",
    parity_budget: Annotated[
        float, typer.Option(min=0, help="Cost of the parity grid, in 10^9 multiply-accumulates.")
    ] = 12.0,  # PyTorch does about 4 a second in float64 on one core: as long as tracing takes
    precision: PrecisionArguments,
    edge: EdgeName = "",
    tensorrt: Tensorrt = False,
    engines: EngineArguments,
    timing_cache: TimingCache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a model, checked against PyTorch over a grid of shapes."""
    from export.delivery.order import Order

    screen = Screen(json=json, quiet=quiet)
    require_extra()
    if list_models:
        _list_models(screen)
        return
    _refuse_nothing(name, edge, onnx=onnx)
    requests = engines.requests(tensorrt=tensorrt)
    if not requests and not edge:
        engines.refuse()
    if timing_cache is not None and not (tensorrt or edge):
        raise OptionError("--timing-cache: given without engines of TensorRT; expected --tensorrt")
    pack = _pack_for(edge, opset, requests, engines.for_tensorrt())
    order = Order(
        name=name,
        options=load.options(),
        output=output or Path("artifacts") / _folder(name, load.weights, edge),
        opset=opset,
        static_shape=parse_shape(static),
        pixels=parse_input(input),
        parity_budget_gmacs=parity_budget,
        precision=precision.order(),
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


def _pack_for(
    edge: str, opset: int, requests: Sequence[EngineRequest], plain: EngineRequest
) -> tuple[Edge, EngineRequest] | None:
    """Return the kind of device, and how engines are to be built on it; None if for none."""
    if not edge:
        return None
    from export.delivery.edge import device_request, find_edge

    device = find_edge(edge, opset)
    return device, device_request(requests, device, plain)


def _export(
    order: Order,
    requests: Sequence[EngineRequest],
    pack: tuple[Edge, EngineRequest] | None,
    timings: Path | None,
    screen: Screen,
) -> None:
    with instant_interrupt():
        from export.delivery.deliver import deliver
        from export.delivery.equip import equip
        from export.delivery.show import show_delivery, show_misfits
        from export.weights.diagnose import MisfitError
        from runtime.building.show import raise_failures

    try:
        # What a model's own code prints is no result.
        with contextlib.redirect_stdout(sys.stderr):
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
