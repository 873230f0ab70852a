"""Keeps the best epoch: its weights, with all that is needed to export and to use them."""

from __future__ import annotations

from pathlib import Path

import torch

from export.checkpoint import TrainedModel, write_checkpoint
from export.training.prepare import Plan
from export.training.state import State
from runtime.image_spec import ImageSpec

__all__ = ["keep_best"]


def keep_best(path: Path, plan: Plan, image: ImageSpec, state: State) -> None:
    """Write the weights as they are after the last epoch, if that is the best so far.

    Equal trainings give equal bytes: there is no time and no place in the file.

    Raises:
        CheckpointError: if it cannot be written.
    """
    best = state.best
    if best is state.history[-1]:
        metadata = TrainedModel(
            model=plan.start.name,
            classes=len(plan.data.labels),
            labels=plan.data.labels,
            image=image,
            top1=round(best.val_accuracy, 2),
            notes=_notes(plan, best.epoch, best.val_accuracy),
        )
        write_checkpoint(path, state.module.state_dict(), metadata)


def _notes(plan: Plan, epoch: int, accuracy: float) -> dict[str, str]:
    order, data = plan.order, plan.data
    counts = ", ".join(
        f"{count} {label}" for label, count in zip(data.labels, data.counts(), strict=True)
    )
    rates = ", ".join(f"{stage} {rate:g}" for stage, rate in plan.recipe.rates.items())
    options = order.key(data.digest(), plan.start.sha256).items()
    return {
        "data": data.origin,
        "images": f"{len(data.train)} train, {len(data.val)} val, {len(data.test)} test; "
        f"of train {counts}",
        "start": plan.start.origin,
        "recipe": f"{plan.recipe.name}; learning rates {rates}; "
        f"weight decay {plan.recipe.weight_decay:g}",
        "options": "; ".join(f"{name} {value}" for name, value in options if value != "None"),
        "arithmetic": f"{plan.arithmetic}, {torch.get_num_threads()} threads",
        "torch": str(torch.__version__),
        "epoch": f"{epoch} of {order.epochs}, the best of validation with {accuracy:.2f} %",
        "top1": f"of {len(data.val)} validation images, by which the epoch was chosen",
    }
