"""Recipes: which stages learn when, how fast, and by which optimizer.

    freeze          the head alone for some epochs, then everything; Adam
    discriminative  everything at once, at a rate per stage; AdamW
    gradual         the head, then one more stage every few epochs, last to first; AdamW
    scratch         everything at one rate, from random weights; SGD with momentum

In the first three, early stages learn faster than late ones: they are for images of another kind
than the weights have seen (another sensor, one channel), in which shapes stay what they were. The
stem has the rate of the first stage, an adapter before it that of the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from export.training.stages import parameter_groups, stages
from runtime.errors import OptionError

__all__ = ["RECIPES", "Pace", "Recipe", "recipe"]

RECIPES = ("freeze", "discriminative", "gradual", "scratch")

_HEAD = ("adapter", "fc")
_STEM = ("conv1", "bn1")
_HEAD_RATE = 1e-3
_FREEZE = {"layer1": 5e-4, "layer2": 2.5e-4, "layer3": 1.25e-4, "layer4": 1.25e-4}
_DISCRIMINATIVE = {"layer1": 5e-4, "layer2": 3e-4, "layer3": 2e-4, "layer4": 2e-4}

_SCRATCH_RATE = 0.1 / 256
"""For one image a batch: 0.1 at 256 (He et al., 2015), in proportion (Goyal et al., 2017)."""

_WEIGHT_DECAY = {"freeze": 1e-4, "discriminative": 1e-2, "gradual": 1e-2, "scratch": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a person may change of a recipe; None leaves it to the recipe.

    Raises:
        OptionError: if a number is out of range.
    """

    batch: int
    rate: float | None = None
    """Of the head; the other stages keep their proportion to it."""
    weight_decay: float | None = None
    stage_epochs: int = 2
    """Epochs until the next stages learn as well."""
    freeze_first: int = 0
    """This many of conv1, bn1, layer1 .. layer4 never learn."""

    def __post_init__(self) -> None:
        for what, given, least in (
            ("batch", self.batch, 2),
            ("stage epochs", self.stage_epochs, 1),
            ("freeze first", self.freeze_first, 0),
        ):
            if given < least:
                raise OptionError(f"{what}: given {given}; expected {least} or more")
        if self.rate is not None and not 0 < self.rate <= 10:
            raise OptionError(f"learning rate: given {self.rate:g}; expected above 0, at most 10")
        if self.weight_decay is not None and not 0 <= self.weight_decay < 1:
            raise OptionError(f"weight decay: given {self.weight_decay:g}; expected 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe for one model."""

    name: str
    rates: Mapping[str, float]
    """The highest learning rate of each stage, before a schedule lowers it."""
    weight_decay: float
    steps: tuple[frozenset[str], ...]
    """The stages that learn, of one step of the recipe after the other; the last one stays."""
    stage_epochs: int
    """Epochs each of the steps takes."""

    def learning(self, epoch: int) -> frozenset[str]:
        """Return the stages that learn in an epoch; the first epoch is 0."""
        return self.steps[min(epoch // self.stage_epochs, len(self.steps) - 1)]

    def optimizer(self, module: nn.Module) -> Optimizer:
        """Return the recipe's optimizer for all parameters of the module, frozen ones included."""
        groups = parameter_groups(module, self.rates)
        if self.name == "freeze":
            return torch.optim.Adam(groups, weight_decay=self.weight_decay)
        if self.name == "scratch":
            return torch.optim.SGD(groups, momentum=0.9, weight_decay=self.weight_decay)
        return torch.optim.AdamW(groups, weight_decay=self.weight_decay)


def recipe(name: str, module: nn.Module, pace: Pace) -> Recipe:
    """Return one of RECIPES for the module.

    Raises:
        OptionError: if there is none of that name, or nothing of the module would learn.
    """
    if name not in RECIPES:
        raise OptionError(f"recipe: given '{name}'; expected one of {', '.join(RECIPES)}")
    found = stages(module)
    frozen = _frozen([stage for stage in found if stage != "adapter"], pace.freeze_first)
    decay = _WEIGHT_DECAY[name] if pace.weight_decay is None else pace.weight_decay
    return Recipe(
        name=name,
        rates=_rates(name, found, pace),
        weight_decay=decay,
        steps=tuple(frozenset(step) - frozen for step in _steps(name, found)),
        stage_epochs=pace.stage_epochs,
    )


def _frozen(found: Sequence[str], count: int) -> frozenset[str]:
    if count >= len(found):
        raise OptionError(
            f"freeze first: given {count}; expected at most {len(found) - 1}, "
            f"or nothing is left to learn of {', '.join(found)}"
        )
    return frozenset(found[:count])


def _rates(name: str, found: Sequence[str], pace: Pace) -> dict[str, float]:
    if name == "scratch":
        return dict.fromkeys(found, pace.rate or _SCRATCH_RATE * pace.batch)
    inner = _FREEZE if name == "freeze" else _DISCRIMINATIVE
    rates = dict.fromkeys(_HEAD, _HEAD_RATE) | dict.fromkeys(_STEM, inner["layer1"]) | inner
    scale = (pace.rate or _HEAD_RATE) / _HEAD_RATE
    return {stage: rates[stage] * scale for stage in found}


def _steps(name: str, found: Sequence[str]) -> list[set[str]]:
    """Return what learns in each step, before anything is frozen for good."""
    head = set(found) & set(_HEAD)
    if name == "freeze":
        return [head, set(found)]
    if name == "gradual":
        steps = [head]
        for stage in reversed([stage for stage in found if stage.startswith("layer")]):
            steps.append(steps[-1] | {stage})
        return [*steps, set(found)]
    return [set(found)]
