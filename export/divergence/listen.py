"""Listens to a module: what its named submodules give while images go through it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from runtime.errors import TraceError
from runtime.runner import Images

__all__ = ["Listener", "norms_behind"]


class Listener:
    """A copy of a module that tells what some of its submodules give; a context manager.

    Args:
        module: in eval mode; it is not changed.
        sources: for each name to tell, the submodule whose output it is.
        dtype: what to compute in: torch.float64 for the truth, torch.float32 for its noise.
    """

    def __init__(self, module: nn.Module, sources: Mapping[str, str], dtype: torch.dtype) -> None:
        self._module = copy.deepcopy(module).to(dtype)
        self._dtype = dtype
        self._heard: dict[str, NDArray[np.float64]] = {}
        self._hooks = [
            self._module.get_submodule(source).register_forward_hook(self._hook(name))
            for name, source in sources.items()
        ]

    def __enter__(self) -> Listener:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the submodules."""
        for hook in self._hooks:
            hook.remove()

    def run(self, images: Images) -> dict[str, NDArray[np.float64]]:
        """Return what each submodule gave for the images, as float64, by its name.

        Of one that is called several times it is the first time. A convolution's is
        [batch, channels, height, width], as PyTorch gives it.

        Raises:
            TraceError: if the module cannot take images of this shape.
        """
        self._heard = {}
        _forward(self._module, images, self._dtype)
        return self._heard

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hear(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            if name not in self._heard and isinstance(output, Tensor):
                # Copied now: a ReLU that works in place would change it.
                self._heard[name] = output.detach().numpy().astype(np.float64)

        return hear


def norms_behind(module: nn.Module, images: Images) -> dict[str, str]:
    """Return for each convolution the BatchNorm that reads its output, where there is one.

    Found by running: a module's own code says what follows what, its structure does not.

    Args:
        module: in eval mode, float32; it is not changed.
        images: float32 [batch, channels, height, width]; one suffices.

    Raises:
        TraceError: if the module cannot take images of this shape.
    """
    found: dict[str, str] = {}
    last: list[tuple[str, Tensor]] = []

    def leave(name: str, output: Tensor) -> None:
        last[:] = [(name, output)]

    def meet(name: str, given: Tensor) -> None:
        if last and given is last[0][1]:
            found[last[0][0]] = name

    hooks = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(lambda _, __, out, n=name: leave(n, out)))
        elif isinstance(layer, _BatchNorm):
            hooks.append(
                layer.register_forward_pre_hook(lambda _, given, n=name: meet(n, given[0]))
            )
    try:
        _forward(module, images, torch.float32)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _forward(module: nn.Module, images: Images, dtype: torch.dtype) -> None:
    try:
        with torch.inference_mode():
            module(torch.from_numpy(images).to(dtype))
    except RuntimeError as error:  # a module of the user's own may fix its input size
        reason = str(error).strip().splitlines()[0]
        shape = "x".join(map(str, images.shape))
        raise TraceError(f"PyTorch cannot run the model on images {shape}: {reason}") from None
