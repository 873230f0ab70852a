import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from export.models.catalogue import find
from export.models.count import count_macs, count_parameters


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("resnet18", 11_689_512, 1.81),
        ("resnet34", 21_797_672, 3.66),
        ("resnet50", 25_557_032, 4.09),
        ("resnet101", 44_549_160, 7.80),
        ("resnet152", 60_192_808, 11.51),
    ],
)
def test_counts_are_the_published_ones(name: str, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        model = find(name).build(classes=1000, channels=3).eval()
    assert count_parameters(model) == parameters
    assert round(count_macs(model, 3, 224, 224) / 1e9, 2) == gmacs


@pytest.mark.parametrize("name", ["resnext50_32x4d", "cifar_resnet20"])
def test_macs_are_half_the_flops_that_torch_counts_while_it_computes(name: str) -> None:
    model = find(name).build(classes=10, channels=1).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 45, 64))
    assert 2 * count_macs(model, 1, 45, 64) == counter.get_total_flops()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counting_leaves_the_module_as_it_was(dtype: torch.dtype) -> None:
    model = find("cifar_resnet20").build(classes=10, channels=3).to(dtype)
    model.layer1.eval()  # the rest is in training mode
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert count_macs(model, 3, 4, 4) > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert model.training
    assert model.layer2[0].bn1.training
    assert not model.layer1[0].bn1.training


def test_hooks_are_removed_when_the_module_cannot_run() -> None:
    model = find("cifar_resnet20").build(classes=10, channels=3)
    with pytest.raises(RuntimeError, match="channel"):
        count_macs(model, 5, 8, 8)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_biases_are_parameters_but_not_macs() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    assert count_parameters(model) == 65
    assert count_macs(model, 3, 2, 2) == 60


class Odd(nn.Module):
    """Two layers of one weight, a tensor made on the way, and a look at the values."""

    def __init__(self, *, looks: bool) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.looks = looks

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.second(self.first(images.flatten(1)) + torch.zeros(1, 4))
        return -features if self.looks and features.sum() > 0 else features


@pytest.mark.parametrize("model", [Odd(looks=False), Odd(looks=True)], ids=["blind", "looking"])
def test_what_a_module_does_on_its_way_is_no_hindrance(model: Odd) -> None:
    assert count_macs(model, 1, 2, 2) == 32
    assert model.first is model.second
    assert model.first.weight.device.type == "cpu"
