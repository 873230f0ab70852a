"""Folding: it acts, it abstains, the numbers hold."""

import pytest
import torch
from torch import nn

from export.fold import fold_batchnorm


def with_statistics(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.5, generator=generator)
            norm.running_var.uniform_(0.5, 2.0, generator=generator)
            norm.weight.data.uniform_(0.5, 2.0, generator=generator)
            norm.bias.data.normal_(0, 0.5, generator=generator)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


IMAGES = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))


def test_a_norm_after_a_convolution_disappears_and_the_output_stays():
    module = with_statistics(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)))
    folded = fold_batchnorm(module)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(IMAGES), module(IMAGES), rtol=1e-5, atol=1e-6)


def test_folding_is_exact_to_one_rounding_of_the_weights():
    module = with_statistics(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    conv, norm = module[0], module[1]
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    expected = (conv.weight.double() * scale[:, None, None, None]).float()
    assert torch.equal(dict(fold_batchnorm(module).named_parameters())["0.weight"], expected)


def test_the_module_itself_is_left_as_it_was():
    module = with_statistics(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fold_batchnorm(module)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert next(module.parameters()).dtype == torch.float32


class SharedConvolution(nn.Module):
    """One convolution before two norms: neither can be folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(self.conv(self.first(self.conv(images))))


class DependsOnData(nn.Module):
    """Control flow that cannot be traced symbolically."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.conv(images))
        return maps if maps.sum() > 0 else -maps


@pytest.mark.parametrize("kind", [SharedConvolution, DependsOnData])
def test_what_cannot_be_folded_is_left_alone_and_computes_the_same(kind):
    module = with_statistics(kind())
    folded = fold_batchnorm(module)
    assert norms(folded) == norms(module)
    assert torch.equal(folded(IMAGES), module(IMAGES))


def test_weights_that_lie_channels_last_are_laid_out_as_new_ones():
    stem = nn.Conv2d(1, 8, 3)
    stem.weight.data = torch.empty_strided((8, 1, 3, 3), (9, 1, 3, 1)).normal_()
    module = nn.Sequential(stem, nn.BatchNorm2d(8)).eval()
    assert module[0].weight.is_contiguous()  # which is why it cannot be told by that
    folded = dict(fold_batchnorm(module).named_parameters())["0.weight"]
    assert folded.stride() == (9, 9, 3, 1)
