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
    on the meta device: shapes only, whatever device its weights are on.
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
        state = {name: value.to("meta") for name, value in module.state_dict().items()}
        dtype = next(iter(state.values())).dtype
        image = torch.empty(1, channels, height, width, device="meta", dtype=dtype)
        with torch.no_grad():
            functional_call(module, state, (image,))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes.items():
            layer.training = training
    return macs
