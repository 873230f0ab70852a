"""Schedules: how the learning rates of all stages change from step to step, by torch's own."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from runtime.errors import OptionError

__all__ = ["SCHEDULES", "schedule"]

SCHEDULES = ("cosine", "onecycle", "steps")

_DROPS = (0.3, 0.6, 0.9)
"""Epochs 30, 60 and 90 of 100, as ImageNet models were first trained."""


def schedule(name: str, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Return the schedule for a training of that many steps; it starts from the optimizer's rates.

    cosine: from the rates down to 0. onecycle: up to the rates in the first 30 %, then down.
    steps: a tenth of the rates after 30 %, again after 60 % and 90 %.

    Raises:
        OptionError: if there is none of that name.
    """
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if name == "onecycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, rates, total_steps=steps)
    if name == "steps":
        return MultiStepLR(optimizer, [round(steps * drop) for drop in _DROPS], gamma=0.1)
    raise OptionError(f"schedule: given '{name}'; expected one of {', '.join(SCHEDULES)}")
