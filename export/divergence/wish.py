"""What a person says of the module that a bundle was exported from."""

from __future__ import annotations

from dataclasses import dataclass

from export.weights.check_weights import check_weights

__all__ = ["Wish"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person says of the module; what they leave out the manifest knows.

    Raises:
        CheckpointError: if there is no such file of weights.
    """

    name: str
    """As it was exported: a name of the catalogue, auto, or a module of their own."""
    weights: str = ""
    """As at the export; "" are those the manifest names, which a file's are not."""
    ema: bool = False
    from_rgb: str = ""

    def __post_init__(self) -> None:
        check_weights(self.weights)
