"""EngineIo: what an engine takes and gives, and which of its profiles takes which images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.engines.profile import Profile, Shape
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["EngineIo", "read_io"]


@dataclass(frozen=True, kw_only=True)
class EngineIo:
    """The images an engine takes, and the logits it gives."""

    images: str
    """The name of its input."""
    dtype: np.dtype[Any]
    """Of the images: float32, or uint8 for pixels."""
    logits: str
    """The name of its output."""
    profiles: tuple[Profile, ...]
    """At least one: a static engine has one that is fixed."""

    def choose(self, shape: tuple[int, ...]) -> int:
        """Return the index of the profile that takes images of that shape in the fewest runs.

        Of several it is the one whose largest batch is nearest. More images than it takes at once
        have to be split, fewer than its smallest batch filled up.

        Raises:
            EngineError: if no profile takes images of that size; names what they take.
        """
        fitting = [
            (-(-shape[0] // profile.largest[0]), profile.largest[0], index)
            for index, profile in enumerate(self.profiles)
            if profile.accepts((profile.smallest[0], *shape[1:])) and shape[0] > 0
        ]
        if not fitting:
            ranges = ", ".join(
                f"{_show(each.smallest)} to {_show(each.largest)}" for each in self.profiles
            )
            raise EngineError(
                f"given images {_show(shape)}; the engine takes {ranges}. Resize them, or build it "
                "with a profile for them"
            )
        return min(fitting)[2]


def read_io(library: TensorRt, engine: tensorrt.ICudaEngine) -> EngineIo:
    """Return what the engine takes and gives.

    Raises:
        EngineError: if it is not a classifier of images in float32 or uint8.
    """
    trt = library.module
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    kinds = {name: engine.get_tensor_dtype(name) for name in names}
    types: dict[object, np.dtype[Any]] = {
        trt.DataType.FLOAT: np.dtype(np.float32),
        trt.DataType.UINT8: np.dtype(np.uint8),
    }
    fits = len(inputs) == len(outputs) == 1 and kinds[outputs[0]] == trt.DataType.FLOAT
    if not fits or kinds[inputs[0]] not in types:
        given = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise EngineError(
            f"the engine has {given}; expected one input of float32 or uint8, and one output of "
            "float32"
        )
    rank = len(engine.get_tensor_shape(inputs[0]))
    if rank != 4:
        raise EngineError(f"the engine takes {rank} dimensions; expected 4, as of images")
    profiles = (
        engine.get_tensor_profile_shape(inputs[0], index)
        for index in range(engine.num_optimization_profiles)
    )
    return EngineIo(
        images=inputs[0],
        dtype=types[kinds[inputs[0]]],
        logits=outputs[0],
        profiles=tuple(
            Profile(smallest=_shape(low), tuned=_shape(middle), largest=_shape(high))
            for low, middle, high in profiles
        ),
    )


def _shape(dims: tensorrt.Dims) -> Shape:
    batch, first, second, third = dims
    return batch, first, second, third


def _show(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
