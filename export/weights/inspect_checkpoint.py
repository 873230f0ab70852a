"""Inspects a weights file: what it is of, whether it is whole, whether its norms are sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from export.checkpoint import Checkpoint, read_checkpoint
from export.models.catalogue import ModelCard
from export.models.fit import fit
from export.weights.diagnose import Diagnosis, diagnose
from export.weights.identify import build_for, identify, sizes
from runtime.errors import DeployError

__all__ = ["Inspection", "NormFinding", "inspect_checkpoint"]

HUGE_MEAN = 1e4
HUGE_VARIANCE = 1e8
"""Far beyond what trained networks have, some 10 and 100, but no overflow yet."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, kw_only=True)
class NormFinding:
    """A normalisation that looks untrained or broken."""

    norm: str
    """Its name, as "layer1.0.bn1"."""
    finding: str
    channels: int
    """How many of its channels it is true of."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a weights file holds."""

    file: str
    layout: str
    """Whose names the keys are; empty if no key is known in any layout."""
    model: str
    """What it is of, or is nearest to; empty if nothing can be said."""
    problem: str
    """Why it is not loaded by `auto`; empty if it is."""
    classes: int
    channels: int
    """Of the images; 0 where there is no stem, as with classes."""
    adapter: bool
    """Whether a 1x1 convolution stands before the stem."""
    place: str
    """Where in the document the weights stand: "['state_dict']"; empty for the document itself."""
    averaged: bool
    """Whether they are an average over the training's steps (EMA)."""
    left: str
    """The copy that was not taken, the average or the weights; empty if there is none."""
    metadata: bool
    """Whether the file brings labels and preprocessing, as those written here do."""
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    norms: int
    """How many normalisations have statistics."""
    findings: tuple[NormFinding, ...]
    diagnosis: Diagnosis | None
    """How it differs from the model; None where there is none to compare with."""


def inspect_checkpoint(path: Path, *, ema: bool = False) -> Inspection:
    """Return what a .safetensors, .pth or .pt file holds.

    Args:
        path: the file.
        ema: look at the average over the training's steps, where the file has both.

    Raises:
        CheckpointError: if it cannot be read at all.
    """
    checkpoint = read_checkpoint(path, ema=ema)
    weights = checkpoint.weights
    card, problem = _identify(checkpoint, path)
    diagnosis = None
    if card:
        expected = build_for(card, weights).state_dict()
        diagnosis = diagnose(weights, expected)
        problem = _misfit(diagnosis, card, path) or _refusal(weights, expected, path)
    classes, channels, _ = sizes(weights)
    return Inspection(
        file=path.name,
        layout=checkpoint.layout,
        model=card.name if card else "",
        problem=problem,
        classes=classes,
        channels=channels,
        adapter="adapter.weight" in weights,
        place=checkpoint.place,
        averaged=checkpoint.averaged,
        left=checkpoint.left,
        metadata=checkpoint.metadata is not None,
        tensors=len(weights),
        parameters=sum(v.numel() for k, v in weights.items() if not k.endswith(_STATISTICS)),
        dtypes=tuple(sorted({str(v.dtype).removeprefix("torch.") for v in _floating(weights)})),
        norms=sum(name.endswith("running_var") for name in weights),
        findings=tuple(_look_at_norms(weights)),
        diagnosis=diagnosis,
    )


def _identify(checkpoint: Checkpoint, path: Path) -> tuple[ModelCard | None, str]:
    try:
        return identify(checkpoint, f"weights ({path.name})"), ""
    except DeployError as error:
        return None, str(error)


def _misfit(diagnosis: Diagnosis, card: ModelCard, path: Path) -> str:
    if not diagnosis.misfits:
        return ""
    return (
        f"{path.name} is no whole {card.name}, the nearest model (tensors amiss: "
        f"{len(diagnosis.misfits)}); for a model of your own pass module.path:factory"
    )


def _refusal(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> str:
    """Return what an export would say against weights whose names and shapes fit."""
    try:
        fit(weights, expected, f"weights ({path.name})", "")
    except DeployError as error:
        return str(error)
    return ""


def _floating(weights: Mapping[str, Tensor]) -> Iterator[Tensor]:
    return (value for value in weights.values() if value.is_floating_point())


def _look_at_norms(weights: Mapping[str, Tensor]) -> Iterator[NormFinding]:
    for key in weights:
        norm, _, last = key.rpartition(".")
        if last != "running_var":
            continue
        parts = [f"{norm}.{part}" for part in ("running_mean", "running_var", "weight", "bias")]
        there = [weights[part] for part in parts if part in weights]
        present = [value.float().flatten() for value in there if not value.is_complex()]
        if len({len(values) for values in present}) == 1:  # others do not fit, and are told so
            yield from _findings(norm, torch.stack(present))


def _findings(norm: str, values: Tensor) -> Iterator[NormFinding]:
    """Yield what is wrong with one norm; rows are mean, variance and, where given, scale and shift.

    Only the first that is true: NaN is not also huge.
    """
    mean, variance = values[0], values[min(1, len(values) - 1)]
    for finding, where in (
        ("NaN or infinity", ~values.isfinite().all(dim=0)),
        ("negative variance", variance < 0),
        ("zero variance", variance == 0),
        ("huge mean", mean.abs() > HUGE_MEAN),
        ("huge variance", variance > HUGE_VARIANCE),
    ):
        if where.any():
            yield NormFinding(norm=norm, finding=finding, channels=int(where.sum()))
            return
    if not mean.any() and bool((variance == 1).all()):
        yield NormFinding(norm=norm, finding="untrained: mean 0, variance 1", channels=len(mean))
