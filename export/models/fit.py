"""Fits weights to a model: the same names and shapes, in the model's own types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from export.weights.diagnose import MisfitError, diagnose
from runtime.errors import CheckpointError

__all__ = ["fit"]

_EPSILON = 1e-5
"""What BatchNorm adds to a variance before it takes the root, in every model of the catalogue."""


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
        MisfitError: if a tensor is missing, unknown, of another shape, or an integer where
            floating point belongs.
        CheckpointError: if one is not finite in the model's type, or a variance negative.
    """
    diagnosis = diagnose(weights, expected)
    if diagnosis.misfits:
        count = len(diagnosis.misfits)
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise MisfitError(
            f"the {title} are not those of {model}: {diagnosis.misfits[0].problem}{more}; "
            f"{diagnosis.fitting} of {len(weights)} tensors fit",
            diagnosis,
        )
    fitted = {name: value.to(expected[name].dtype).contiguous() for name, value in weights.items()}
    for name, value in fitted.items():
        # NumPy's, because torch's takes ten times as long over hundreds of small tensors.
        if not np.isfinite(value.detach().numpy()).all():
            raise CheckpointError(
                f"the {title} hold NaN or infinity in '{name}'; "
                "choose a checkpoint from before the training diverged"
            )
        if name.endswith("running_var") and bool((value <= -_EPSILON).any()):
            raise CheckpointError(
                f"the {title} hold a negative variance in '{name}', of which BatchNorm makes NaN; "
                "choose another checkpoint"
            )
    return fitted
