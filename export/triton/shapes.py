"""Shapes: what Triton may give a model, and what it gets."""

from __future__ import annotations

from collections.abc import Sequence

from export.triton.pbtxt import Message, Word
from runtime.engines.profile import Profile
from runtime.variant import TensorInfo, Variant

__all__ = ["TYPES", "Shapes"]

TYPES = {"float": "TYPE_FP32", "float16": "TYPE_FP16", "uint8": "TYPE_UINT8"}
"""Triton's names of the manifest's."""


class Shapes:
    """The shapes of a variant, within an engine's profile if it is run by one."""

    def __init__(self, variant: Variant, profile: Profile | None, batch: int) -> None:
        self.variant = variant
        self.is_fixed = variant.input.sizes[0] is not None
        """Whether Triton makes no batches: `dims` are then the whole shape."""
        self.largest_batch = batch
        self._profile = profile
        if profile is not None:
            self.largest_batch = min(batch, profile.largest[0])
            self.is_fixed = self.is_fixed or profile.smallest[0] > 1

    def input(self) -> Message:
        """Return the input as a ModelConfig tells it."""
        dims = _dims(self.variant.input)
        if self._profile is not None:
            ends = zip(self._profile.smallest, self._profile.largest, strict=True)
            dims = [low if low == high else -1 for low, high in ends]
        return self._tensor(self.variant.input, dims)

    def outputs(self) -> list[Message]:
        """Return the outputs as a ModelConfig tells them."""
        return [self._tensor(output, _dims(output)) for output in self.variant.outputs]

    def accepts(self, shape: Sequence[int], batch: int) -> bool:
        """Return whether so many images of that shape, whose first number is a batch, may come."""
        return self._profile is None or self._profile.accepts((batch, *shape[1:]))

    def _tensor(self, info: TensorInfo, dims: list[int]) -> Message:
        return {
            "name": info.name,
            "data_type": Word(TYPES[info.dtype]),
            "dims": dims if self.is_fixed else dims[1:],
        }


def _dims(info: TensorInfo) -> list[int]:
    return [-1 if size is None else size for size in info.sizes]
