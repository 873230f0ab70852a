"""Photographs: the decoded images of some files, kept in memory while they fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL.Image import Image

from export.training.data import LabelledImage
from runtime.image_spec import CHANNEL_ORDERS
from runtime.open_image import open_image

__all__ = ["Photographs"]

ROOM_BYTES = 2**30
"""For one part of the data: some ten thousand grey images of 300 x 300 pixels."""

_AHEAD = 64
"""Images that are decoded before the first of them is looked at."""


class Photographs:
    """The images of some files, in the channels that a model takes; at most `room` bytes are kept.

    Attributes:
        files: the files, in order.
        in_memory: whether all of them are kept, decoded.
    """

    def __init__(
        self, files: Sequence[LabelledImage], channels: int, room: int = ROOM_BYTES
    ) -> None:
        self.files = tuple(files)
        self._room = room
        self.in_memory = False
        self._mode = "L" if channels == CHANNEL_ORDERS["L"] else "RGB"
        self._kept: list[Image] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.files)

    def __getitem__(self, index: int) -> Image:
        """Return the image in mode L or RGB; it is not the caller's to change.

        Raises:
            ImageError: if the file cannot be read.
        """
        return self._kept[index] if self.in_memory else self._read(index)

    def read_all(self, advance: Callable[[], None]) -> Iterator[Image]:
        """Yield every image, in order; at the end all are kept, if there is room.

        Args:
            advance: is called for each of them.

        Raises:
            ImageError: if a file cannot be read: told before the training, not in the midst of it.
        """
        kept: list[Image] = []
        room = self._room
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without Python's lock
            for start in range(0, len(self), _AHEAD):
                for image in pool.map(self._read, range(start, min(start + _AHEAD, len(self)))):
                    room -= image.width * image.height * len(image.getbands())
                    if room >= 0:
                        kept.append(image)
                    advance()
                    yield image
        if room >= 0:
            self._kept, self.in_memory = kept, True

    def _read(self, index: int) -> Image:
        image = open_image(self.files[index].path)
        return image if image.mode == self._mode else image.convert(self._mode)
