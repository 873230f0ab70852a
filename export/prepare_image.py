"""What a person says of preprocessing, in the place of what the weights say."""

from __future__ import annotations

from dataclasses import replace

from export.load_options import LoadOptions
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

__all__ = ["prepare_image"]


def prepare_image(image: ImageSpec, options: LoadOptions) -> ImageSpec:
    """Return the preprocessing with what a person said of it.

    Raises:
        OptionError: if that cannot work.
    """
    count = image.channel_count
    mean = options.mean or image.mean
    std = options.std or image.std
    prepared = replace(
        image,
        resize=image.resize if options.resize is None else options.resize,
        crop=image.crop if options.crop is None else options.crop,
        mean=mean * count if len(mean) == 1 else mean,
        std=std * count if len(std) == 1 else std,
        interpolation=options.interpolation or image.interpolation,
    )
    if prepared.crop > prepared.resize and (options.resize or options.crop):
        raise OptionError(
            f"image size: crop {prepared.crop} is larger than resize {prepared.resize} and would "
            "have black borders; give both --resize and --crop"
        )
    return prepared
