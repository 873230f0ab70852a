"""Folds BatchNorm2d into the convolution before it, on the torch module, before it is traced.

    Conv y = W x + b,  then  z = g (y - m) / s + c   with s = sqrt(v + eps)
    becomes  z = W' x + b'   with W' = W g / s  and  b' = (b - m) g / s + c

Done here, not in the graph, because most of the exporter's time is the decomposition of BatchNorm
(ResNet-50: 6.1 s unfolded, 4.0 s folded), and in float64, because the fold is then exact to the one
rounding of W' and b' to float32.

Left alone when the module's control flow cannot be traced, or when a convolution or norm is called
more than once (one set of weights cannot absorb two norms); the graph then keeps its
BatchNormalization nodes, and simplify folds what it can.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import Counter

import torch
from torch import fx, nn

from export.classifier import Classifier

__all__ = ["fold", "fold_batchnorm"]


def fold(classifier: Classifier) -> Classifier:
    """Return the classifier with its BatchNorm folded where it can be; it is not changed itself."""
    return dataclasses.replace(classifier, module=fold_batchnorm(classifier.module))


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """Return a float32 copy of an eval-mode module, with its BatchNorm2d folded where it can be.

    The module itself is not changed. The copy's weights lie in memory as torch lays out new ones:
    those of a checkpoint may lie channels last, and the graph would then put every map back into
    that order behind the pooling.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.fx.experimental announces itself as experimental
        from torch.fx.experimental.optimization import fuse

        if not _traces_each_layer_once(module):
            return _laid_out_plainly(copy.deepcopy(module))
        return _laid_out_plainly(fuse(copy.deepcopy(module).double(), inplace=True).float())


def _laid_out_plainly(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        # Not contiguous(): with one input channel, weights that lie channels last are that already.
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    return module


def _traces_each_layer_once(module: nn.Module) -> bool:
    try:
        traced = fx.symbolic_trace(module)
    except Exception:  # tracing runs the user's own forward, which may raise anything
        return False
    layers = dict(module.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    foldable = (nn.Conv2d, nn.BatchNorm2d)
    return all(n == 1 for target, n in calls.items() if isinstance(layers[str(target)], foldable))
