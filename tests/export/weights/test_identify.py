from dataclasses import replace

import pytest
import torch

from export.checkpoint import Checkpoint, TrainedModel
from export.models.architecture import Architecture
from export.models.catalogue import find, names
from export.models.cifar import cifar_architecture
from export.models.resnet import ResNet
from export.weights.identify import identify, nearest, sizes
from export.weights.layouts import LAYOUTS
from runtime.errors import CheckpointError, UnknownModelError
from runtime.image_spec import ImageSpec

UNTRAINED = [name for name in names() if find(name).weights == "random"]


def shapes(architecture: Architecture, classes: int = 4, channels: int = 3) -> Checkpoint:
    """A checkpoint without values; "stem" is a layout that says nothing more than the shapes."""
    with torch.device("meta"):
        module = ResNet(architecture, num_classes=classes, in_channels=channels)
    return Checkpoint(weights=module.state_dict(), metadata=None, layout="stem")


@pytest.mark.parametrize("name", UNTRAINED)
@pytest.mark.parametrize(("classes", "channels"), [(4, 1), (1000, 3)])
def test_every_model_of_the_catalogue_is_told_by_its_shapes(name, classes, channels) -> None:
    checkpoint = shapes(find(name).architecture, classes, channels)
    assert identify(checkpoint, "weights") == find(name)
    assert sizes(checkpoint.weights) == (classes, channels, channels)


@pytest.mark.parametrize("depth", [8, 14, 1202])
@pytest.mark.parametrize("shortcut", ["zero-pad", "projection"])
def test_cifar_networks_of_any_depth_and_shortcut_are_told(depth, shortcut) -> None:
    architecture = cifar_architecture(depth, shortcut)
    if depth > 1000:
        architecture = replace(architecture, depths=(200, 200, 200))
    card = identify(shapes(architecture), "weights")
    assert (card.name, card.architecture) == (f"cifar_resnet{depth}", architecture)
    assert (card.top1, card.classes) == (None, 10)


def test_groups_and_widths_beyond_the_catalogue_are_told() -> None:
    architecture = replace(find("resnet50").architecture, groups=8, width_per_group=16)
    card = identify(shapes(architecture), "weights")
    assert (card.name, card.architecture, card.top1) == ("resnet50_8x16d", architecture, None)


def test_a_small_stem_under_torchvisions_names_fits_two_families() -> None:
    checkpoint = replace(shapes(find("small_resnet34").architecture), layout="torchvision")
    with pytest.raises(CheckpointError) as raised:
        identify(checkpoint, "file weights (w.pth)")
    message = str(raised.value)
    assert "fit two families: small_resnet34, and a resnet34 whose stem was replaced" in message
    assert "pass small_resnet34 instead of auto" in message


def test_metadata_decides_what_shapes_cannot() -> None:
    metadata = TrainedModel(
        model="small_resnet34",
        classes=4,
        labels=(),
        image=ImageSpec(resize=32, crop=32, mean=(0.5,) * 3, std=(0.2,) * 3),
        top1=None,
        notes={},
    )
    checkpoint = replace(shapes(find("small_resnet34").architecture), layout="torchvision")
    assert identify(replace(checkpoint, metadata=metadata), "w") == find("small_resnet34")
    unknown = replace(metadata, model="small_resnet35")
    with pytest.raises(UnknownModelError, match="no model 'small_resnet35'"):
        identify(replace(checkpoint, metadata=unknown), "w")


def test_weights_of_no_layout_are_refused_with_what_to_pass() -> None:
    weights = {"features.0.weight": torch.zeros(1), "classifier.bias": torch.zeros(2)}
    with pytest.raises(CheckpointError) as raised:
        identify(Checkpoint(weights=weights, metadata=None), "file weights (vgg.pth)")
    assert "none of 2 tensors belongs to a block of a ResNet" in str(raised.value)
    assert "'features.0.weight'" in str(raised.value)
    assert "module.path:factory" in str(raised.value)


@pytest.mark.parametrize(
    ("spoil", "near"),
    [
        (lambda weights: weights.pop("layer3.5.conv1.weight"), "resnet34"),
        (lambda weights: weights.pop("conv1.weight"), "resnet34"),
        (lambda weights: [weights.pop(k) for k in list(weights) if "layer4.2" in k], "resnet34"),
        (lambda weights: [weights.pop(k) for k in list(weights) if "layer1." in k], "resnet34"),
        (lambda weights: [weights.pop(k) for k in list(weights) if "downsample" in k], "resnet34"),
        (lambda weights: weights.update({"layer9.0.bn1.bias": torch.zeros(1)}), "resnet34"),
        (lambda weights: weights.update({"layer1.0.conv2.weight": torch.zeros(3)}), "resnet34"),
    ],
)
def test_incomplete_weights_are_compared_with_the_nearest_model(spoil, near: str) -> None:
    checkpoint = shapes(find("resnet34").architecture)
    weights = dict(checkpoint.weights)
    spoil(weights)
    assert identify(replace(checkpoint, weights=weights), "weights").name == near


def test_the_nearest_of_a_model_nobody_named_is_of_its_kind() -> None:
    architecture = Architecture(block="bottleneck", depths=(3, 4, 7, 3))
    assert nearest(shapes(architecture).weights).name == "resnet50"


def test_no_layout_takes_the_names_of_another_for_its_own() -> None:
    for key in ("layer1.0.conv1.weight", "layer2.0.downsample.1.running_mean", "conv1.weight"):
        assert {layout.translate(key) for layout in LAYOUTS} == {key}
