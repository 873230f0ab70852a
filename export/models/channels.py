"""Gives weights that were trained on RGB images another number of input channels.

With x one plane, W the three kernels of the stem, and n the channels that are wanted:

    repeat    nothing: the model keeps its three channels, and preprocessing, which makes RGB of a
              grey image by repeating it, keeps its mean and std. The answers are the RGB model's,
              to the bit; so is the cost. One channel only.
    sum       kernel (W_R + W_G + W_B) / n for each channel. n equal planes give what three equal
              ones gave, to rounding: activations keep their scale, and BatchNorm its statistics.
    mean      kernel (W_R + W_G + W_B) / 3 for each channel. One plane gives a third of what three
              equal ones gave: the size of a weight is kept, the statistics of BatchNorm are not.
    luma      kernel 0.2989 W_R + 0.5870 W_G + 0.1140 W_B (ITU-R BT.601) for each channel. Keeps
              what the stem makes of brightness where its kernels differ in colour; the scale is
              about that of `mean`. To be trained further, as `mean` is.
    adapter   W untouched behind a 1x1 convolution from n channels to three without bias, whose
              weights are 1 / n: n equal planes give what three equal ones gave, to rounding, and
              three numbers a channel are there to be learnt.

The planes are equal as the network sees them, after normalisation: with other than `repeat`, an
image is normalised by one mean and one std, the average of those of the RGB model. ImageNet's own
differ from it by up to 0.19 standard deviations. That shift cannot be folded into a kernel: the
zeros of the padding, which stand for the mean colour, would have to stand for three greys at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean

import torch
from torch import Tensor

from runtime.errors import CheckpointError
from runtime.image_spec import ImageSpec

__all__ = ["for_channels", "port_stem"]

_STEM = "conv1.weight"
_LUMA = {"R": 0.2989, "G": 0.5870, "B": 0.1140}


def port_stem(
    weights: Mapping[str, Tensor], channels: int, way: str, order: str = "RGB"
) -> dict[str, Tensor]:
    """Return weights for images of other channels; not for "repeat", which changes none.

    Args:
        weights: of a network with three channels, in torchvision's names.
        channels: those of the images.
        way: "mean", "sum", "luma" or "adapter".
        order: "RGB" or "BGR", the channels the weights were trained on.

    Raises:
        CheckpointError: if the stem has not three channels, or an adapter before it.
    """
    stem = weights.get(_STEM)
    given = stem.shape[1] if stem is not None and stem.ndim == 4 else 0
    if stem is None or given != 3 or "adapter.weight" in weights:
        raise CheckpointError(
            f"--from-rgb {way}: the stem of the weights has {given or 'no'} channels"
            f"{' and an adapter before them' if 'adapter.weight' in weights else ''}; "
            "expected 3, as of RGB images; leave --from-rgb out"
        )
    if way == "adapter":
        return {"adapter.weight": torch.full((3, channels, 1, 1), 1 / channels), **weights}
    shares = {
        "mean": [1 / 3] * 3,
        "sum": [1 / channels] * 3,
        "luma": [_LUMA[colour] for colour in order],
    }[way]
    # In float64, so that the one rounding is that of the result.
    kernels = stem.double() * torch.tensor(shares, dtype=torch.float64).view(1, 3, 1, 1)
    kernel = kernels.sum(dim=1, keepdim=True).to(stem.dtype)
    return {**weights, _STEM: kernel.repeat(1, channels, 1, 1)}


def for_channels(image: ImageSpec, channels: int) -> ImageSpec:
    """Return the preprocessing with the statistics of its average channel, if it has others."""
    if channels == image.channel_count:
        return image
    return replace(
        image,
        channels={1: "L", 3: "RGB"}.get(channels, "planes"),
        mean=(round(mean(image.mean), 4),) * channels,
        std=(round(mean(image.std), 4),) * channels,
    )
