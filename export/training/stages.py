"""The stages of a ResNet: what learns at one rate, and what is frozen together.

A stage is a direct child of the module that has parameters: conv1, bn1, layer1 .. layer4, fc, and
an adapter before them where there is one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["parameter_groups", "set_learning", "stages"]


def stages(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the stages, from the input to the head."""
    return tuple(name for name, child in module.named_children() if list(child.parameters()))


def parameter_groups(module: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return two groups a stage for a torch optimizer, each with the stage's learning rate.

    The second holds what has one dimension, norms and biases, and has no weight decay: pulling
    them to zero does not regularise, it only takes scale away.
    """
    groups = []
    for name in stages(module):
        parameters = list(module.get_submodule(name).parameters())
        kernels = [value for value in parameters if value.ndim > 1]
        others = [value for value in parameters if value.ndim <= 1]
        if kernels:
            groups.append({"params": kernels, "lr": rates[name]})
        if others:
            groups.append({"params": others, "lr": rates[name], "weight_decay": 0.0})
    return groups


def set_learning(module: nn.Module, learning: Collection[str], *, keep_statistics: bool) -> None:
    """Let the named stages learn and freeze the others.

    Args:
        module: is put into training mode.
        learning: names of stages.
        keep_statistics: BatchNorm of the learning stages normalises with the statistics it has and
            leaves them as they are; that of frozen stages always does.
    """
    for name in stages(module):
        stage = module.get_submodule(name)
        stage.requires_grad_(requires_grad=name in learning)
        stage.train(mode=name in learning)
        if keep_statistics:
            for layer in stage.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()
