"""Runs the module a bundle came from with the statistics of each batch in its BatchNorm layers.

Where that is right and the bundle is not, the running statistics in the weights are: they were
never measured, or on other images, or reset.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["BatchStatistics"]

_BATCH = 32
"""Fewer images say too little of a channel."""


class BatchStatistics:
    """A module whose BatchNorm layers are in train mode, and all others in eval mode."""

    def __init__(self, module: nn.Module) -> None:
        self._module = copy.deepcopy(module).eval()
        self._norms = [m for m in self._module.modules() if isinstance(m, _BatchNorm)]
        for norm in self._norms:
            norm.train()

    @property
    def applies(self) -> bool:
        """Whether there is such a layer."""
        return bool(self._norms)

    def classes(self, images: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the most probable class of each image among those of its batch.

        Args:
            images: [images, channels, height, width], normalised.
        """
        parts = np.array_split(images, max(1, len(images) // _BATCH))
        with torch.inference_mode():
            found = [self._module(torch.from_numpy(part)).argmax(dim=1).numpy() for part in parts]
        return np.concatenate(found).astype(np.int32)
