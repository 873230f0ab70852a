"""Returns the shape of what an exported graph takes."""

from __future__ import annotations

from runtime.image_spec import CHANNEL_AXES

__all__ = ["input_shape"]


def input_shape(
    static: tuple[int, int, int, int] | None, channels: int, pixels: str
) -> tuple[str, ...]:
    """Return each dimension in the graph's layout: a number, or the name of one that may vary.

    Args:
        static: [batch, channels, height, width] that is fixed; None keeps all but channels dynamic.
        channels: of the model.
        pixels: the layout, if the graph takes pixels; "" if it takes normalised images.
    """
    dimensions = [str(side) for side in static or ("batch", channels, "height", "width")]
    dimensions.insert(CHANNEL_AXES[pixels or "NCHW"], dimensions.pop(1))
    return tuple(dimensions)
