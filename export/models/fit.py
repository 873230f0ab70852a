"""Fits weights to a model: the same names and shapes, in the model's own types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from runtime.errors import CheckpointError

__all__ = ["fit"]


def fit(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], title: str, model: str
) -> dict[str, Tensor]:
    """Return the weights as the model has them.

    Args:
        weights: what a checkpoint holds.
        expected: the model's state dict; its values are not looked at.
        title: what to call the weights in a message.
        model: what to call the model.

    Raises:
        CheckpointError: if a tensor is missing, unknown, of another shape, an integer where
            floating point belongs, or not finite in the model's type.
    """
    # Checkpoints from before PyTorch 0.4.1 do not count batches; nothing reads the count.
    required = {name for name in expected if not name.endswith("num_batches_tracked")}
    problems = [
        *(f"'{name}' is missing" for name in expected if name in required - weights.keys()),
        *(f"'{name}' is not part of it" for name in weights if name not in expected),
        *(
            f"'{name}' is {_describe(weights[name])}, expected {_describe(value)}"
            for name, value in expected.items()
            if name in weights and _describe(weights[name]) != _describe(value)
        ),
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(
            f"the {title} are not those of {model}: {problems[0]}{more}; "
            "choose the model they were made for"
        )
    fitted = {name: value.to(expected[name].dtype).contiguous() for name, value in weights.items()}
    for name, value in fitted.items():
        # NumPy's, because torch's takes ten times as long over hundreds of small tensors.
        if not np.isfinite(value.detach().numpy()).all():
            raise CheckpointError(
                f"the {title} hold NaN or infinity in '{name}'; "
                "choose a checkpoint from before the training diverged"
            )
    return fitted


def _describe(value: Tensor) -> str:
    kind = "floating" if value.is_floating_point() else "integer"
    return f"{'x'.join(map(str, value.shape)) or 'a single'} {kind}"
