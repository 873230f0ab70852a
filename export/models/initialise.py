"""Draws random weights, by five laws.

kaiming    Kaiming normal of fan out for ReLU (He et al., 2015), norms 1 and 0: where training
           starts well, and torchvision starts. Its standard deviation is sqrt(2 / (k k outputs)).
torch      every layer as torch itself starts it: Kaiming uniform with a = sqrt(5), norms 1 and 0
torch-sqrt3    the same with a = sqrt(3), which widens it by sqrt(1.5), norms 0.975 and 0.125
normal     normal of standard deviation sqrt(2 / (k k outputs)), as older code spells `kaiming` out:
           equal seeds give equal bits
scattered  `kaiming`, and statistics under which a deep network tells images apart untrained

All but the last start every BatchNorm as nearly the identity of inference: mean 0, variance 1. A
random ResNet in eval mode then normalises nothing: the logits of a ResNet-152 reach 1e7, those of a
ResNeXt 1e-2, nearly the same for every image, and a mistake in a BatchNorm changes nothing at all.
So what is exported untrained is `scattered`: each BatchNorm gets the statistics it would measure if
its convolution were fed rectified normals of second moment 1, whose mean m is 1 / sqrt(pi); the
stem is fed normal images, of mean m = 0:

    mean = m * sum of the filter's weights
    variance = (1 - m^2) * 2 * inputs / (groups * outputs)     weights are Kaiming normal, fan out

Both are scattered at random, as weight and bias are around 1 and 0. The last normalisation of each
block is scaled down, so that fifty blocks add up to a few times the input and no more.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from export.models.resnet import BasicBlock, Bottleneck, ResNet

__all__ = ["initialise"]

BRANCH_SCALE = 0.3
"""Mean weight of a block's last normalisation. With it, the logits of the catalogue's models have a
standard deviation of 0.2 to 1 over a photograph, and those of two photographs differ by a tenth of
that and more."""


def initialise(module: ResNet, seed: int, law: str = "scattered") -> None:
    """Draw all parameters and buffers in place; equal seeds give equal bits.

    Torch's global generator is left as it was.

    Args:
        module: the network.
        seed: of what is drawn.
        law: one of export.load_options.LAWS.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        _LAWS[law](module)


def _kaiming(module: ResNet) -> None:
    module.reset_parameters()


def _torch(module: ResNet) -> None:
    for layer in module.modules():
        if layer is not module and callable(reset := getattr(layer, "reset_parameters", 0)):
            reset()


def _torch_sqrt3(module: ResNet) -> None:
    _torch(module)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(3))
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.weight, 0.975)
            nn.init.constant_(layer.bias, 0.125)


def _normal(module: ResNet) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            outputs = layer.out_channels * math.prod(layer.kernel_size)
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / outputs))
        elif layer is not module and callable(reset := getattr(layer, "reset_parameters", 0)):
            reset()


def _scattered(module: ResNet) -> None:
    module.reset_parameters()
    last = _last_norms(module)
    conv = module.conv1
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            conv = layer
        elif isinstance(layer, nn.BatchNorm2d):
            fed = 0.0 if conv is module.conv1 else 1 / math.sqrt(math.pi)
            _scatter(layer, conv, fed, BRANCH_SCALE if layer in last else 1.0)


_LAWS = {
    "scattered": _scattered,
    "kaiming": _kaiming,
    "torch": _torch,
    "torch-sqrt3": _torch_sqrt3,
    "normal": _normal,
}


def _last_norms(module: nn.Module) -> set[nn.Module]:
    basic = {block.bn2 for block in module.modules() if isinstance(block, BasicBlock)}
    return basic | {block.bn3 for block in module.modules() if isinstance(block, Bottleneck)}


def _scatter(norm: nn.BatchNorm2d, conv: nn.Conv2d, fed: float, scale: float) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    variance = (1 - fed**2) * 2 * conv.in_channels / (conv.groups * conv.out_channels)
    # In float64: then the order of the sum, which differs between machines, does not show.
    sums = conv.weight.numpy().sum(axis=(1, 2, 3), dtype=np.float64)
    norm.running_mean.normal_(0, 0.2 * math.sqrt(variance)).add_(torch.from_numpy(fed * sums))
    norm.running_var.uniform_(0.5 * variance, 1.5 * variance)
    norm.weight.uniform_(0.5 * scale, 1.5 * scale)
    norm.bias.normal_(0, 0.2 * scale)
