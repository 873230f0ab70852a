import pytest
import torch

from export.models.architecture import Shortcut
from export.models.cifar import cifar_architecture
from export.models.count import count_parameters
from export.models.resnet import ResNet
from export.models.shortcut import ZeroPad
from runtime.errors import OptionError


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_sizes_are_those_of_the_paper(depth: int, millions: float) -> None:
    model = ResNet(cifar_architecture(depth), num_classes=10)
    weighted = [p for p in model.parameters() if p.ndim > 1]
    assert len(weighted) == depth
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=0.02)


def test_padded_shortcuts_have_no_weights_and_projections_have() -> None:
    padded = ResNet(cifar_architecture(20), num_classes=10)
    projected = ResNet(cifar_architecture(20, "projection"), num_classes=10)
    # Two projections: 16 x 32 and 32 x 64 weights, and a weight and a bias per output channel.
    assert count_parameters(projected) - count_parameters(padded) == 512 + 64 + 2048 + 128
    assert sum(isinstance(module, ZeroPad) for module in padded.modules()) == 2


@pytest.mark.parametrize("shortcut", ["zero-pad", "projection"])
@pytest.mark.parametrize("size", [(32, 32), (8, 8), (31, 45), (1, 1)])
def test_any_image_size_gives_one_row_of_logits_an_image(
    shortcut: Shortcut, size: tuple[int, int]
) -> None:
    model = ResNet(cifar_architecture(8, shortcut), num_classes=10, in_channels=1).eval()
    with torch.inference_mode():
        assert model(torch.randn(3, 1, *size)).shape == (3, 10)


def test_stages_halve_the_maps_twice() -> None:
    model = ResNet(cifar_architecture(8), num_classes=10).eval()
    shapes = []
    for name in model.stages:
        model.get_submodule(name).register_forward_hook(
            lambda layer, inputs, output: shapes.append(tuple(output.shape[1:]))
        )
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize("depth", [2, 18, 21, -4])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth: int) -> None:
    with pytest.raises(OptionError, match=f"given depth {depth}"):
        cifar_architecture(depth)
