"""Trains resnet20-digits, the classifier inside the package, on two thirds of the UCI digits.

The other third is never trained on and never looked at but once, at the end: no epoch is chosen by
it. One thread and one seed: the same machine makes the same bytes again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import export.samples
from export.checkpoint import TrainedModel, write_checkpoint
from export.models.catalogue import ModelCard, find
from export.models.resnet import ResNet
from export.models.sources import WEIGHTS_FOLDER
from runtime.preprocess import preprocess

NAME = "resnet20-digits"
SAMPLES_FOLDER = Path(export.samples.__file__).parent / "digits"

BATCH = 64
LABEL_SMOOTHING = 0.05
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 0.02
MAX_SHIFT_PIXELS = 1.0
MAX_TURN_DEGREES = 12.0
MAX_ZOOM = 0.1


@dataclass(frozen=True, kw_only=True)
class Digits:
    """The scans as 8-bit images, and which of them are held out."""

    scans: NDArray[np.uint8]
    """[scan, 8, 8], 0 is paper."""
    labels: NDArray[np.int64]
    held_out: NDArray[np.int64]
    training: NDArray[np.int64]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, measure, and write the weights and ten held-out scans."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and augmentation")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FOLDER / f"{NAME}.safetensors")
    parser.add_argument("--samples", type=Path, default=SAMPLES_FOLDER)
    args = parser.parse_args(argv)

    started = time.perf_counter()
    torch.set_num_threads(1)  # more threads add up in another order
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(args.seed)
    card, digits = find(NAME), split(args.seed)
    images, labels = read(digits, card), torch.from_numpy(digits.labels)
    model = train(card, images[digits.training], labels[digits.training], args.epochs)
    top1 = accuracy(model, images[digits.held_out], labels[digits.held_out])
    write_checkpoint(args.weights, model.state_dict(), describe(card, digits, top1, args))
    write_samples(digits, args.samples)
    seconds = time.perf_counter() - started
    print(f"{top1:.2f} % of {len(digits.held_out)} held-out scans, {seconds:.0f} s, {args.weights}")
    return 0


def split(seed: int) -> Digits:
    """Return the UCI digits, one third held out at random."""
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    third = len(order) // 3
    return Digits(
        scans=np.rint(data.images * 255 / 16).astype(np.uint8),
        labels=data.target.astype(np.int64),
        held_out=order[:third],
        training=order[third:],
    )


def read(digits: Digits, card: ModelCard) -> Tensor:
    """Return the scans as the runtime would read them from PNG files: float32 [scan, 1, 8, 8]."""
    return torch.from_numpy(
        np.stack([preprocess(Image.fromarray(scan), card.image) for scan in digits.scans])
    )


def train(card: ModelCard, images: Tensor, labels: Tensor, epochs: int) -> ResNet:
    """Return a model trained on randomly moved copies of the images."""
    model = card.build(classes=card.classes, channels=card.channels)
    loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    steps = epochs * len(list(batches(len(images))))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(epochs):
        for chosen in batches(len(images)):
            optimizer.zero_grad()
            loss(model(move(images[chosen])), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def batches(count: int) -> Iterator[Tensor]:
    """Yield random indices without repetition; what fills no batch waits for the next epoch."""
    order = torch.randperm(count)
    yield from torch.split(order[: count - count % BATCH], BATCH)


def move(images: Tensor) -> Tensor:
    """Return the images, each turned, zoomed and shifted a little at random."""
    chance = torch.rand(4, len(images)) * 2 - 1
    angle = chance[0] * np.deg2rad(MAX_TURN_DEGREES)
    zoom = 1 + chance[1] * MAX_ZOOM
    # grid_sample's coordinates run from -1 to 1 over all pixels of a side.
    shift = chance[2:] * MAX_SHIFT_PIXELS * 2 / images.shape[-1]
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    matrices = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    paper = images.min()  # what is moved in from outside is as white as the margins
    return functional.grid_sample(images - paper, grid, align_corners=False) + paper


def accuracy(model: ResNet, images: Tensor, labels: Tensor) -> float:
    """Return the percentage of images whose largest logit is that of their label."""
    with torch.inference_mode():
        right = model(images).argmax(dim=1) == labels
    return 100 * float(right.double().mean())


def describe(
    card: ModelCard, digits: Digits, top1: float, args: argparse.Namespace
) -> TrainedModel:
    """Return what the weights file says of itself, the split to the last index among it."""
    return TrainedModel(
        model=NAME,
        classes=card.classes,
        labels=tuple("0123456789"),
        image=card.image,
        top1=round(top1, 2),
        notes={
            "data": "UCI optical digits, as sklearn.datasets.load_digits gives them; "
            "8-bit value = round(value * 255 / 16)",
            "split": f"numpy.random.default_rng({args.seed}).permutation({len(digits.labels)}): "
            f"the first {len(digits.held_out)} are held out",
            "held_out": " ".join(map(str, digits.held_out)),
            "recipe": f"scripts/train_digits.py --epochs {args.epochs} --seed {args.seed}",
            "torch": torch.__version__,
        },
    )


def write_samples(digits: Digits, folder: Path) -> None:
    """Write the first held-out scan of each class as digit-0.png .. digit-9.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in range(10):
        index = next(i for i in digits.held_out if digits.labels[i] == label)
        Image.fromarray(digits.scans[index]).save(folder / f"digit-{label}.png")


if __name__ == "__main__":
    raise SystemExit(main())
