from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from export.models.architecture import Architecture
from export.models.catalogue import find
from export.models.count import count_parameters
from export.models.initialise import initialise
from export.models.resnet import ResNet
from runtime.errors import OptionError

TORCHVISION_NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)


def built(build: Callable[[], nn.Module]) -> nn.Module:
    """The oracle draws its weights twice; on the meta device it draws none."""
    with torch.device("meta"):
        return build().to_empty(device="cpu").eval()


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(16, channels)


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_keys_and_outputs_are_those_of_torchvision_to_the_bit(name: str) -> None:
    ours = built(lambda: find(name).build(classes=7, channels=3))
    initialise(ours, seed=1)  # running statistics that are not 0 and 1
    theirs = built(lambda: torchvision.models.get_model(name, num_classes=7))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 45, 32)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_training_mode_gives_the_outputs_and_gradients_of_torchvision() -> None:
    ours = find("resnet18").build(classes=7, channels=3)
    theirs = torchvision.models.resnet18(num_classes=7)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 33, 48)
    outputs = [model(images) for model in (ours, theirs)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    assert torch.equal(ours.conv1.weight.grad, theirs.conv1.weight.grad)
    assert torch.equal(ours.bn1.running_var, theirs.bn1.running_var)


def test_norm_layer_input_channels_and_groups_are_those_of_torchvision() -> None:
    architecture = replace(find("resnet50").architecture, groups=4, width_per_group=32)
    ours = ResNet(architecture, num_classes=5, in_channels=4, norm_layer=group_norm).eval()
    theirs = torchvision.models.resnet50(
        num_classes=5, groups=4, width_per_group=32, norm_layer=group_norm
    ).eval()
    theirs.conv1 = nn.Conv2d(4, 64, kernel_size=7, stride=2, padding=3, bias=False)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 4, 33, 64)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_default_initialisation_is_that_of_torchvision() -> None:
    torch.manual_seed(0)
    ours = find("resnet18").build(classes=1000, channels=3).state_dict()
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18().state_dict()
    head = ("fc.weight", "fc.bias")  # Drawn later here: other bits of the same law.
    for (name, a), b in zip(ours.items(), theirs.values(), strict=True):
        assert name in head or torch.equal(a, b), name
    for name in head:
        assert ours[name].abs().max() <= 512**-0.5, name
        assert ours[name].std().item() == pytest.approx((512 * 3) ** -0.5, rel=0.05), name


def test_features_are_what_the_head_sees() -> None:
    model = find("resnet34").build(classes=3, channels=1).eval()
    images = torch.randn(2, 1, 40, 40)
    with torch.inference_mode():
        features = model.features(images)
        assert features.shape == (2, 512)
        assert torch.equal(model.fc(features), model(images))


@pytest.mark.parametrize(
    ("name", "channels", "parameters"),
    [
        ("small_resnet18", 3, 11_173_962),
        ("small_resnet50", 3, 23_520_842),
        ("resnet18", 1, 11_175_370),
    ],
)
def test_other_families_have_the_published_size(name: str, channels: int, parameters: int) -> None:
    with torch.device("meta"):
        model = find(name).build(classes=10, channels=channels)
    assert count_parameters(model) == parameters


def test_an_adapter_stands_before_the_stem() -> None:
    adapter = nn.Conv2d(1, 3, kernel_size=1, bias=False)
    model = find("small_resnet18").build(classes=3, channels=3, adapter=adapter).eval()
    plain = find("small_resnet18").build(classes=3, channels=3).eval()
    weights = {k: v for k, v in model.state_dict().items() if k != "adapter.weight"}
    plain.load_state_dict(weights)
    images = torch.randn(2, 1, 20, 24)
    with torch.inference_mode():
        assert torch.equal(model(images), plain(adapter(images)))


def test_the_maps_of_the_stages_halve_in_size() -> None:
    model = find("resnet18").build(classes=3, channels=3).eval()
    with torch.inference_mode():
        shapes = [tuple(maps.shape) for maps in model.maps(torch.zeros(2, 3, 65, 96))]
    assert shapes == [(2, 64, 17, 24), (2, 128, 9, 12), (2, 256, 5, 6), (2, 512, 3, 3)]


def test_grouped_basic_blocks_are_refused() -> None:
    with pytest.raises(OptionError, match=r"given groups 32.*bottlenecks have any"):
        replace(find("resnet18").architecture, groups=32)


def test_stages_without_a_width_are_refused() -> None:
    with pytest.raises(OptionError, match="one of each per stage"):
        Architecture(block="basic", depths=(2, 2, 2))


def test_a_network_may_have_any_number_of_stages() -> None:
    architecture = Architecture(block="bottleneck", depths=(1, 1, 1, 1, 1), widths=(8, 8, 8, 8, 8))
    model = ResNet(architecture, num_classes=2)
    assert model.features(torch.zeros(2, 3, 64, 64)).shape == (2, 32)
