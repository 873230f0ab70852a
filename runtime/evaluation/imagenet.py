"""ImageNet's names of its classes, of which ILSVRC 2012 has three.

    WordNet id     n01440764    names folders and files of the training and validation images
    class index    0 to 999     what every model answers: the place among the sorted WordNet ids
    ILSVRC2012 id  1 to 1000    in the development kit's ground truth; another order altogether

`ilsvrc2012_wnids.txt` holds the WordNet ids in the order of the last; sorted, they are in that of
the second.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

__all__ = ["CLASSES", "WNID", "class_indices", "wnid_of"]

CLASSES = 1000
WNID = re.compile(r"n\d{8}")


def class_indices() -> dict[str, int]:
    """Return each class's index by its WordNet id."""
    return {wnid: index for index, wnid in enumerate(sorted(_wnids()))}


def wnid_of(ilsvrc_id: int) -> str:
    """Return the WordNet id of a class of the development kit, numbered from 1.

    Raises:
        IndexError: if there is no such class.
    """
    if ilsvrc_id < 1:
        raise IndexError(ilsvrc_id)
    return _wnids()[ilsvrc_id - 1]


@lru_cache(maxsize=1)
def _wnids() -> tuple[str, ...]:
    text = files("runtime.evaluation").joinpath("ilsvrc2012_wnids.txt").read_text("ascii")
    return tuple(text.split())
