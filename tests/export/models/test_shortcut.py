import pytest
import torch
from torch import nn

from export.models.shortcut import ZeroPad, projection


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_zero_pad_keeps_every_second_pixel_and_adds_zero_channels(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 16, *size)
    padded = ZeroPad(16, 32, 2, nn.BatchNorm2d)(maps)
    assert torch.equal(padded[:, 8:24], maps[:, :, ::2, ::2])
    assert not padded[:, :8].any()
    assert not padded[:, 24:].any()


def test_projection_is_a_strided_1x1_convolution_and_its_norm() -> None:
    shortcut = projection(16, 32, 2, nn.BatchNorm2d).eval()
    maps = torch.randn(2, 16, 7, 5)
    weights = shortcut[0].weight[:, :, 0, 0]
    expected = torch.einsum("oi,bihw->bohw", weights, maps[:, :, ::2, ::2])
    assert torch.allclose(shortcut(maps), expected / (1 + 1e-5) ** 0.5, atol=1e-5)
    assert list(shortcut.state_dict())[:2] == ["0.weight", "1.weight"]
