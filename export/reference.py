"""TorchRunner: the PyTorch module itself behind the Runner protocol, as the reference."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from runtime.errors import TraceError
from runtime.runner import Images, Logits

__all__ = ["TorchRunner"]


class TorchRunner:
    """An eval-mode module on the CPU, computing in one floating-point type throughout.

    Args:
        module: the module; it is not changed.
        dtype: torch.float64 for the reference, torch.float32 for the noise that float32 makes.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        same = all(p.dtype == dtype for p in module.parameters())
        self._module = module if same else copy.deepcopy(module).to(dtype)
        self._dtype = dtype

    @property
    def name(self) -> str:
        """The library and the type: "torch float64"."""
        return str(self._dtype).replace(".", " ")

    def logits(self, images: Images) -> Logits:
        """Return [batch, classes] in the runner's type. The array is the caller's to keep.

        Raises:
            TraceError: if the module cannot take images of this shape.
        """
        try:
            with torch.inference_mode():
                answer = self._module(torch.from_numpy(images).to(self._dtype))
            # The outputs of a head of several are joined into one row an image.
            parts = [part.flatten(1) for part in answer] if isinstance(answer, tuple) else [answer]
            result: Logits = torch.cat(parts, dim=1).numpy()
        except RuntimeError as error:  # a module of the user's own may fix its input size
            reason = str(error).strip().splitlines()[0]
            shape = "x".join(map(str, images.shape))
            raise TraceError(
                f"PyTorch itself cannot run the model on images {shape}: {reason}; "
                "fix the shape with --static"
            ) from None
        return result.astype(np.dtype(str(self._dtype).removeprefix("torch.")), copy=False)
