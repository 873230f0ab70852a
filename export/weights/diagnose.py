"""Diagnoses weights that do not fit a model: what is missing, too much, or of another shape.

Told by stage: a head of another task, a stem of other channels and a deeper third stage look alike
in a list of three hundred keys, and unlike in a table of seven rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from runtime.errors import CheckpointError

__all__ = ["Diagnosis", "Misfit", "MisfitError", "diagnose"]

_STAGE = re.compile(r"layer\d+(?=\.)")
_NAMED = {"adapter": "adapter", "conv1": "stem", "bn1": "stem", "fc": "head"}


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A tensor that stands in the way."""

    kind: str
    """"missing", "unexpected" or "mismatched"."""
    key: str
    """In torchvision's names."""
    problem: str
    """In words, the key included."""

    @property
    def stage(self) -> str:
        """Where it belongs: "adapter", "stem", "layer1", "head", or "elsewhere"."""
        found = _STAGE.match(self.key)
        return found[0] if found else _NAMED.get(self.key.partition(".")[0], "elsewhere")


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """How weights and a model differ."""

    misfits: tuple[Misfit, ...]
    fitting: int
    """How many tensors are as the model has them."""

    def by_stage(self) -> dict[str, dict[str, list[Misfit]]]:
        """Return the misfits by stage, then by kind, from the input to the head."""
        stages: dict[str, dict[str, list[Misfit]]] = {}
        for misfit in sorted(self.misfits, key=_position):
            kinds = stages.setdefault(misfit.stage, {})
            kinds.setdefault(misfit.kind, []).append(misfit)
        return stages


class MisfitError(CheckpointError):
    """The weights are of another model; the diagnosis tells how they differ."""

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis


def diagnose(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Diagnosis:
    """Return how the weights differ from what the model expects.

    Checkpoints from before PyTorch 0.4.1 do not count batches; nothing reads the count.

    Args:
        weights: what a checkpoint holds.
        expected: the model's state dict; its values are not looked at.
    """
    misfits = tuple(_misfits(weights, expected))
    known = sum(1 for name in weights if name in expected)
    wrong = sum(1 for misfit in misfits if misfit.kind == "mismatched")
    return Diagnosis(misfits=misfits, fitting=known - wrong)


def _misfits(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[Misfit]:
    for name in expected:
        if name not in weights and not name.endswith("num_batches_tracked"):
            yield Misfit(kind="missing", key=name, problem=f"'{name}' is missing")
    for name in weights:
        if name not in expected:
            yield Misfit(kind="unexpected", key=name, problem=f"'{name}' is not part of it")
    for name, value in expected.items():
        if name in weights and _describe(weights[name]) != _describe(value):
            given, wanted = _describe(weights[name]), _describe(value)
            problem = f"'{name}' is {given}, expected {wanted}"
            yield Misfit(kind="mismatched", key=name, problem=problem)


def _describe(value: Tensor) -> str:
    kind = "floating" if value.is_floating_point() else "integer"
    return f"{'x'.join(map(str, value.shape)) or 'a single'} {kind}"


def _position(misfit: Misfit) -> tuple[int, str]:
    order = ("adapter", "stem", "layer", "head", "elsewhere")
    return order.index(re.sub(r"\d", "", misfit.stage)), misfit.stage
