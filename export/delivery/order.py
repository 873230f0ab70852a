"""What is asked for in the way of a model; refused, if need be, before PyTorch is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from export.load_options import LoadOptions
from export.models.catalogue import find
from export.variants.order import PrecisionOrder
from export.weights.check_weights import check_weights
from runtime.building.orders import EngineRequest
from runtime.errors import OptionError

__all__ = ["Order", "PlanOrder"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to export, and where to.

    Raises:
        UnknownModelError: if there is no such model.
        CheckpointError: if there is no such file of weights.
        OptionError: if the budget is not a number.
    """

    name: str
    options: LoadOptions
    output: Path
    opset: int
    static_shape: tuple[int, int, int, int] | None
    """[batch, channels, height, width]; None keeps batch, height and width dynamic."""
    pixels: str
    """The layout of a graph that takes pixels, "NCHW" or "NHWC"; "" for normalised images."""
    parity_budget_gmacs: float
    """What the parity grid may cost each runner, in 10^9 multiply-accumulates."""
    precision: PrecisionOrder
    """The variants."""
    engines: tuple[EngineRequest, ...] = ()
    """What will be built of the bundle, here or on a device: what the model cannot have is refused
    before it is exported."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_weights(self.options.weights)
        if math.isnan(self.parity_budget_gmacs):
            raise OptionError("--parity-budget: given nan; expected a number from 0 up")


@dataclass(frozen=True, kw_only=True)
class PlanOrder:
    """Of which model engines are planned, in which variants.

    Raises:
        UnknownModelError: if there is no such model.
        CheckpointError: if there is no such file of weights.
    """

    name: str
    options: LoadOptions
    shape: tuple[int, int, int, int] | None
    """[batch, channels, height, width] that is fixed; None keeps all but channels dynamic."""
    opset: int
    pixels: str
    """The layout of graphs that take pixels; "" for those that take normalised images."""
    precisions: tuple[str, ...]
    """Of export.arguments.PRECISIONS."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_weights(self.options.weights)


def _check_name(name: str) -> None:
    """Refuse a name of nothing; of models that are not of the catalogue, others know the names."""
    if name != "auto" and ":" not in name:
        find(name)
