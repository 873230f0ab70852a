"""Weights in the layouts of others, run by the arithmetic they were made for, and loaded here.

The arithmetic is written out with torch.nn.functional on the keys of each layout; nothing of the
definition under test is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from export.load import load
from export.load_options import LoadOptions
from export.weights.layouts import rename
from runtime.errors import CheckpointError

BASIC, BOTTLENECK = 2, 3


@dataclass(frozen=True)
class Original:
    """A network of somebody else: how its keys are called, and how it is built."""

    model: str
    depths: tuple[int, ...]
    convolutions: int = BASIC
    widths: tuple[int, ...] = (64, 128, 256, 512)
    classes: int = 7
    channels: int = 3
    large_stem: bool = True
    stem: tuple[str, str] = ("conv1", "bn1")
    block: str = "layer{stage}.{number}"
    first_stage: int = 1
    shortcut: tuple[str, str] | None = ("downsample.0", "downsample.1")
    head: str = "fc"
    groups: int = 1
    width_per_group: int = 64

    def blocks(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield name, inputs, width and stride of each block."""
        expansion = 4 if self.convolutions == BOTTLENECK else 1
        inputs = self.widths[0]
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for number in range(depth):
                name = self.block.format(stage=stage + self.first_stage, number=number)
                yield name, inputs, width, 2 if stage and not number else 1
                inputs = width * expansion

    def outputs(self, width: int) -> int:
        return width * 4 if self.convolutions == BOTTLENECK else width

    def weights(self) -> dict[str, Tensor]:
        """Return random weights with statistics that do something."""
        drawn = torch.Generator().manual_seed(0)
        weights: dict[str, Tensor] = {}

        def conv(name: str, norm: str, outputs: int, inputs: int, side: int) -> None:
            shape = (outputs, inputs, side, side)
            weights[f"{name}.weight"] = (
                torch.randn(shape, generator=drawn) * (2 / (inputs * side**2)) ** 0.5
            )
            for part, low, high in (
                ("weight", 0.2, 0.8),
                ("bias", -0.3, 0.3),
                ("running_mean", -0.3, 0.3),
                ("running_var", 0.5, 1.5),
            ):
                values = torch.rand(outputs, generator=drawn) * (high - low) + low
                weights[f"{norm}.{part}"] = values
            weights[f"{norm}.num_batches_tracked"] = torch.tensor(100)

        conv(*self.stem, self.widths[0], self.channels, 7 if self.large_stem else 3)
        for name, inputs, width, stride in self.blocks():
            outputs = self.outputs(width)
            if self.convolutions == BASIC:
                conv(f"{name}.conv1", f"{name}.bn1", width, inputs, 3)
                conv(f"{name}.conv2", f"{name}.bn2", width, width, 3)
            else:
                inner = int(width * self.width_per_group / 64) * self.groups
                conv(f"{name}.conv1", f"{name}.bn1", inner, inputs, 1)
                conv(f"{name}.conv2", f"{name}.bn2", inner, inner // self.groups, 3)
                conv(f"{name}.conv3", f"{name}.bn3", outputs, inner, 1)
            if self.shortcut and (stride != 1 or inputs != outputs):
                projection, norm = self.shortcut
                conv(f"{name}.{projection}", f"{name}.{norm}", outputs, inputs, 1)
        features = self.outputs(self.widths[-1])
        weights[f"{self.head}.weight"] = torch.randn(self.classes, features, generator=drawn) * 0.05
        weights[f"{self.head}.bias"] = torch.randn(self.classes, generator=drawn)
        return weights

    def logits(self, weights: dict[str, Tensor], images: Tensor) -> Tensor:
        """Return what the weights' own network answers."""

        def conv(name: str, norm: str, maps: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
            kernel = weights[f"{name}.weight"].to(maps)
            padding = kernel.shape[-1] // 2
            made = functional.conv2d(maps, kernel, None, stride, padding, groups=groups)
            mean, var, scale, shift = (
                weights[f"{norm}.{part}"].to(maps)
                for part in ("running_mean", "running_var", "weight", "bias")
            )
            return functional.batch_norm(made, mean, var, scale, shift, training=False, eps=1e-5)

        maps = conv(*self.stem, images, stride=2 if self.large_stem else 1).relu()
        if self.large_stem:
            maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        for name, inputs, width, stride in self.blocks():
            outputs, beside = self.outputs(width), maps
            if self.shortcut and (stride != 1 or inputs != outputs):
                projection, norm = self.shortcut
                beside = conv(f"{name}.{projection}", f"{name}.{norm}", maps, stride)
            elif stride != 1:
                added = (outputs - inputs) // 2
                beside = functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, added, added))
            if self.convolutions == BASIC:
                made = conv(f"{name}.conv1", f"{name}.bn1", maps, stride).relu()
                made = conv(f"{name}.conv2", f"{name}.bn2", made)
            else:
                made = conv(f"{name}.conv1", f"{name}.bn1", maps).relu()
                made = conv(f"{name}.conv2", f"{name}.bn2", made, stride, self.groups).relu()
                made = conv(f"{name}.conv3", f"{name}.bn3", made)
            maps = (made + beside).relu()
        head = weights[f"{self.head}.weight"].to(maps), weights[f"{self.head}.bias"].to(maps)
        return functional.linear(maps.mean((2, 3)), *head)


D18, D34, D50, D101, D152 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
TORCHVISION = Original("resnet18", D18)
STEM = replace(TORCHVISION, stem=("stem_conv", "stem_bn"), shortcut=("skip.0", "skip.1"))
SMALL = replace(
    TORCHVISION,
    model="small_resnet18",
    large_stem=False,
    shortcut=("shortcut.0", "shortcut.1"),
    head="linear",
)
HEAD_TAIL = replace(
    TORCHVISION,
    stem=("head.conv", "head.bn"),
    block="l{stage}.block.{number}",
    first_stage=0,
    shortcut=("skip_conv1", "skip_bn1"),
    head="tail.lin",
)
CIFAR = Original("cifar_resnet20", (3, 3, 3), widths=(16, 32, 64), large_stem=False, shortcut=None)


def deep(original: Original, model: str, depths: tuple[int, ...]) -> Original:
    return replace(original, model=model, depths=depths, convolutions=BOTTLENECK)


RUN = {
    "torchvision": TORCHVISION,
    "grayscale": replace(TORCHVISION, channels=1),
    "ResNeXt": replace(
        deep(TORCHVISION, "resnext50_32x4d", D50), groups=32, width_per_group=4
    ),
    "stem": replace(STEM, channels=5),
    "stem 50": deep(STEM, "resnet50", D50),
    "small image": SMALL,
    "small image 50": deep(SMALL, "small_resnet50", D50),
    "head/tail": HEAD_TAIL,
    "head/tail 34": replace(HEAD_TAIL, model="resnet34", depths=D34),
    "CIFAR A, fc": CIFAR,
    "CIFAR A, linear": replace(CIFAR, head="linear", channels=1),
    "CIFAR B, fc": replace(CIFAR, shortcut=("downsample.0", "downsample.1")),
    "CIFAR B, linear": replace(
        CIFAR, model="cifar_resnet32", depths=(5, 5, 5), shortcut=("shortcut.0", "shortcut.1"),
        head="linear",
    ),
    "CIFAR B, shortcut and fc": replace(CIFAR, shortcut=("shortcut.0", "shortcut.1")),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_loaded_weights_answer_as_where_they_come_from(tmp_path, name: str) -> None:
    original = RUN[name]
    weights = original.weights()
    torch.save(weights, tmp_path / "theirs.pth")
    classifier = load("auto", LoadOptions(weights=str(tmp_path / "theirs.pth")))
    assert (classifier.name, classifier.classes) == (original.model, 7)
    assert classifier.in_channels == original.channels
    images = torch.randn(2, original.channels, 40, 33, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        truth = original.logits(weights, images.double())
        rounding = (original.logits(weights, images) - truth).abs().max()
        error = (classifier.module(images) - truth).abs().max()
    assert truth.std() > 0.1
    assert error <= 4 * rounding + 1e-6 * truth.abs().max()


@pytest.mark.parametrize(
    ("original", "layout"),
    [
        (TORCHVISION, "torchvision"),
        (STEM, "stem"),
        (SMALL, "small image"),
        (HEAD_TAIL, "head/tail"),
        (CIFAR, "torchvision"),
        (replace(CIFAR, head="linear"), "small image"),
    ],
)
def test_a_layout_is_told_by_its_names_and_renamed_into_torchvisions(original, layout) -> None:
    weights = original.weights()
    renamed = rename(weights)
    assert renamed.layout == layout
    assert renamed.known == len(weights)
    assert {"conv1.weight", "fc.bias", "layer2.0.bn1.running_var"} <= set(renamed.weights)
    assert len(renamed.weights) == len(weights)


@pytest.mark.parametrize(
    ("adapter", "network"),
    [
        ("0.map.weight", "1."),
        ("0.weight", "1."),
        ("adapter.map.weight", ""),
        ("adapter.weight", ""),
    ],
)
def test_an_adapter_in_front_becomes_a_convolution_before_the_stem(
    tmp_path, adapter: str, network: str
) -> None:
    weights = CIFAR.weights()
    kernel = torch.randn(3, 1, 1, 1)
    document = {adapter: kernel, **{f"{network}{name}": v for name, v in weights.items()}}
    torch.save(document, tmp_path / "theirs.pth")
    classifier = load("auto", LoadOptions(weights=str(tmp_path / "theirs.pth")))
    assert (classifier.in_channels, classifier.image.channels) == (1, "L")
    images = torch.randn(2, 1, 40, 33)
    with torch.inference_mode():
        expected = CIFAR.logits(weights, functional.conv2d(images, kernel))
        assert torch.allclose(classifier.module(images), expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_keeps_its_bias(tmp_path) -> None:
    weights = CIFAR.weights()
    adapter = {"0.map.weight": torch.randn(3, 2, 1, 1), "0.map.bias": torch.randn(3)}
    torch.save({**adapter, **{f"1.{k}": v for k, v in weights.items()}}, tmp_path / "w.pth")
    classifier = load("auto", LoadOptions(weights=str(tmp_path / "w.pth")))
    images = torch.randn(2, 2, 16, 16)
    with torch.inference_mode():
        expected = CIFAR.logits(weights, functional.conv2d(images, *adapter.values()))
        assert torch.allclose(classifier.module(images), expected, rtol=1e-4, atol=1e-4)


def test_two_heads_are_refused_by_both_their_names() -> None:
    weights = {**SMALL.weights(), "fc.weight": torch.zeros(7, 512)}
    with pytest.raises(CheckpointError, match=r"'fc.weight' twice, as 'linear.weight' and as 'fc"):
        rename(weights)


def test_names_of_no_layout_are_left_as_they_are() -> None:
    weights = {"features.0.weight": torch.zeros(1)}
    renamed = rename(weights)
    assert (list(renamed.weights), renamed.layout, renamed.known) == (list(weights), "", 0)
