"""Builds the model that weights are of, and puts them into it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.models.fit import fit
from export.models.initialise import initialise
from export.models.resnet import ResNet
from export.models.sources import Source
from export.weights.diagnose import MisfitError
from export.weights.identify import build_for, nearest
from runtime.errors import OptionError

__all__ = ["build_module"]


def build_module(source: Source, seed: int, init: str) -> nn.Module:
    """Return the model that the weights are of, with them in it: eval mode, float32, on the CPU.

    Args:
        source: of the weights; without any, random ones are drawn.
        seed: to draw with.
        init: the law to draw by, one of export.load_options.LAWS; "" for the usual one.

    Raises:
        OptionError: if a law is given for weights that are there already.
        MisfitError: if the weights do not fit the model.
    """
    if not source.weights:
        module = _draw(source, seed, init or "scattered")
    elif init:
        raise OptionError(
            f"--init {init}: given weights that are there already, {source.title}; "
            "leave it out, or give --weights random"
        )
    else:
        module = build_for(source.card, source.weights)
        module.load_state_dict(_fit(source, module), assign=True)
    return module.eval().requires_grad_(requires_grad=False)


def _fit(source: Source, module: ResNet) -> dict[str, Tensor]:
    name = source.card.name
    try:
        return fit(source.weights, module.state_dict(), source.title, name)
    except MisfitError as error:
        near = nearest(source.weights).name
        hint = "for a model of your own pass module.path:factory"
        if near != name:
            hint = f"they are nearest to {near}: pass that name, or auto"
        raise MisfitError(f"{error}; {hint}", error.diagnosis) from None


def _draw(source: Source, seed: int, law: str) -> ResNet:
    # On the meta device nothing is drawn that is to be replaced at once.
    with torch.device("meta"):
        module = source.card.build(classes=source.classes, channels=source.channels)
    # Not Module.to_empty, which loads sympy (0.3 s).
    shapes = module.state_dict().items()
    empty = {name: torch.empty(v.shape, dtype=v.dtype, device="cpu") for name, v in shapes}
    module.load_state_dict(empty, assign=True)
    initialise(module, seed, law)
    return module
