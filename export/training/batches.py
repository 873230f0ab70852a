"""Batches: what each step sees, a function of the seed and the step alone.

    epoch e     all images in an order drawn from (seed, e); those that fill no batch are left out
    step s      batch s mod n of epoch s // n, with n batches an epoch

A training therefore goes on at any step without having to repeat those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from export.training.augment import Transform, draw
from export.training.photographs import Photographs
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.preprocess import preprocess

__all__ = ["Batch", "TrainingBatches", "batches_per_epoch", "plain_batches"]

Batch = tuple[Tensor, Tensor]
"""float32 [batch, channels, crop, crop] and int64 [batch]: images and the indices of classes."""

_PLAIN = 64
"""Images that are run at once where nothing is learnt."""


def batches_per_epoch(images: int, batch: int) -> int:
    """Return how many batches that many images fill.

    Raises:
        OptionError: if they do not fill one.
    """
    if batch > images:
        raise OptionError(
            f"batch: given {batch}; expected at most {images}, as many as there are training images"
        )
    return images // batch


@dataclass(frozen=True, kw_only=True)
class TrainingBatches:
    """Augmented images in random order, batch by batch."""

    photographs: Photographs
    transform: Transform
    image: ImageSpec
    batch: int
    epochs: int
    seed: int
    workers: int
    """Processes that read images beside the training; any number gives the same batches."""

    @property
    def per_epoch(self) -> int:
        """Number of batches an epoch has."""
        return batches_per_epoch(len(self.photographs), self.batch)

    @property
    def steps(self) -> int:
        """Number of batches in all."""
        return self.per_epoch * self.epochs

    def since(self, step: int) -> Iterator[Batch]:
        """Yield the batches from the given one to the last of the last epoch."""
        loader = DataLoader(
            _Augmented(self),
            batch_sampler=self._places(step),
            num_workers=self.workers,
        )
        yield from loader

    def _places(self, step: int) -> Iterator[list[tuple[int, int]]]:
        """Yield epoch and index of each image of a batch, from the given batch on."""
        first, done = divmod(step, self.per_epoch)
        for epoch in range(first, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.photographs))
            for number in range(done, self.per_epoch):
                chosen = order[number * self.batch : (number + 1) * self.batch]
                yield [(epoch, int(index)) for index in chosen]
            done = 0


class _Augmented(Dataset[tuple[Tensor, int]]):
    def __init__(self, batches: TrainingBatches) -> None:
        self.batches = batches
        # What the augmentation gives has the model's size already.
        self.image = replace(batches.image, resize=batches.image.crop)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = place
        photographs, seed = self.batches.photographs, self.batches.seed
        image = draw(self.batches.transform, photographs[index], seed, epoch, index)
        return torch.from_numpy(preprocess(image, self.image)), photographs.files[index].label


class _Plain(Dataset[tuple[Tensor, int]]):
    def __init__(self, photographs: Photographs, image: ImageSpec) -> None:
        self.photographs = photographs
        self.image = image

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        values = preprocess(self.photographs[index], self.image)
        return torch.from_numpy(values), self.photographs.files[index].label


def plain_batches(photographs: Photographs, image: ImageSpec, workers: int) -> Iterator[Batch]:
    """Yield every image once, in order, as the runtime preprocesses it."""
    yield from DataLoader(_Plain(photographs, image), batch_size=_PLAIN, num_workers=workers)
