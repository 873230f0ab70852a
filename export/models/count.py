"""Counts what a classifier holds and what it computes, without computing it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["count_macs", "count_parameters"]


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable values; running statistics are not among them."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, channels: int, height: int, width: int) -> int:
    """Return the multiply-accumulates of all convolutions and linear layers for one image.

    Biases, normalisation, activations and pools are not counted. One is two FLOPs. The module runs
    on the meta device: shapes only, whatever device its weights are on. One that looks at values on
    its way, which are not there, runs on a black image.
    """
    macs = 0

    def count(layer: nn.Conv2d | nn.Linear, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal macs
        # One output value costs one product per weight of its filter or row.
        macs += output.numel() * layer.weight[0].numel()

    modes = {layer: layer.training for layer in module.modules()}
    counted = [layer for layer in modes if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in counted]
    try:
        module.eval()  # in training mode, BatchNorm's updates take most of the time
        image = torch.zeros(1, channels, height, width)
        try:
            _run_without_values(module, image)
        except Exception:  # a module of the user's own, which may raise anything
            macs = 0
            first = next(module.parameters(), image)
            with torch.no_grad():
                module(image.to(first))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes.items():
            layer.training = training
    return macs


def _run_without_values(module: nn.Module, image: Tensor) -> None:
    # Each once: a layer of two names would be put back from one to the other, not from this.
    values = (*module.named_parameters(), *module.named_buffers())
    state = {name: value.to("meta") for name, value in values}
    dtype = next(iter(state.values())).dtype
    with torch.no_grad(), torch.device("meta"):  # what forward makes of its own is made there, too
        functional_call(module, state, (image.to("meta", dtype),), tie_weights=False)
