"""Prepares a training: reads its images, measures them, and settles what stays the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from export.training.arithmetic import Arithmetic
from export.training.augment import augmentation
from export.training.batches import TrainingBatches, plain_batches
from export.training.data import DataSet
from export.training.measure_statistics import measure_statistics
from export.training.order import Order
from export.training.photographs import Photographs
from export.training.recipes import Recipe
from export.training.start import Start
from export.training.train import Course
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

__all__ = ["Plan", "prepare"]

SMALL_BATCH = 16
"""Images in a batch whose own mean and variance are poor statistics of all images."""
SETTLED = 1 / 3
"""Share of the epochs in which a small batch learns under the statistics that inference will have.
In training, a loud image is in the variance it is divided by; in inference it is not, and comes out
louder, layer after layer (Wu and Johnson, Rethinking "Batch" in BatchNorm, arXiv 2105.07576, who
change over, too). A third: of README's solar cells, test photographs are then 26 times as loud as
most in the last stage; 96 times without."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is known of a training before an image is read."""

    order: Order
    data: DataSet
    start: Start
    geometry: ImageSpec
    """The preprocessing but for mean and standard deviation, which the images tell."""
    recipe: Recipe
    arithmetic: Arithmetic

    @property
    def statistics_epochs(self) -> int:
        """In how many epochs, from the first, BatchNorm normalises by batch and learns statistics.

        None with a small batch and weights that bring statistics; all of them with a large batch.
        """
        if self.order.pace.batch > SMALL_BATCH:
            return self.order.epochs
        return 0 if self.start.trained else self.order.epochs - int(self.order.epochs * SETTLED)


def prepare(plan: Plan, screen: Screen) -> Course:
    """Return the course of the training; every image of train and val has been decoded once.

    Raises:
        ImageError: if one of them cannot be.
        OptionError: if there is nothing to see in them.
    """
    order, data, geometry = plan.order, plan.data, plan.geometry
    train, val = (Photographs(files, geometry.channel_count) for files in (data.train, data.val))
    with screen.step("images") as step, screen.progress("read", len(train) + len(val)) as advance:
        image = measure_statistics(train.read_all(advance), geometry)
        for _ in val.read_all(advance):
            pass
        step.detail = (
            f"{len(train)} to train on, {len(val)} to validate; {image.channels} {image.resize} "
            f"-> {image.crop}, mean {_numbers(image.mean)}, std {_numbers(image.std)}"
        )
    batches = TrainingBatches(
        photographs=train,
        transform=augmentation(order.augment, image),
        image=image,
        batch=order.pace.batch,
        epochs=order.epochs,
        seed=order.seed,
        workers=_workers(order, train),
    )
    return Course(
        recipe=plan.recipe,
        batches=batches,
        val_batches=partial(plain_batches, val, image, _workers(order, val)),
        loss=_loss(order, data),
        arithmetic=plan.arithmetic,
        classes=len(data.labels),
        statistics_epochs=plan.statistics_epochs,
    )


def _workers(order: Order, photographs: Photographs) -> int:
    """Return how many processes read images: none where nothing is left to be decoded."""
    if order.workers is not None:
        return order.workers
    return 0 if photographs.in_memory else os.cpu_count() or 1


def _loss(order: Order, data: DataSet) -> nn.Module:
    weights = None
    if order.balance:
        counts = torch.tensor(data.counts(), dtype=torch.float32)
        weights = counts.sum() / (len(counts) * counts)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=order.label_smoothing)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
