"""Finds out which class of the model each label of the data means.

One reading must fit every label of the data, and the first that does is taken:

    names       the model's labels, to the letter
    wnids       ILSVRC 2012's WordNet ids, for a model of its 1000 classes
    indices     0, 1, 2 ... up to the number of classes
    alike       the model's labels but for upper case, "_" and "-": "polar_bear" for "Polar bear"
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from runtime.errors import OptionError
from runtime.evaluation import imagenet

__all__ = ["match_labels"]

_SHOWN = 3
"""Labels that a message names."""
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test"})


def match_labels(
    given: Sequence[str], labels: Sequence[str], classes: int
) -> tuple[dict[str, int], str]:
    """Return the class index of each label of the data, and how the labels were read.

    Args:
        given: the data's labels, each once.
        labels: the model's, one per class; empty where it has none.
        classes: how many the model has.

    Raises:
        OptionError: if the model lacks a label of the data, or has it twice.
    """
    readings = {
        "names": _by_name(labels),
        "ILSVRC2012 wnids": imagenet.class_indices() if classes == imagenet.CLASSES else {},
        "indices": {str(index): index for index in range(classes)},
    }
    for kind, known in readings.items():
        if all(label in known for label in given):
            return {label: _unique(known[label], label, labels) for label in given}, kind
    alike = _by_name([_plain(label) for label in labels])
    if all(_plain(label) in alike for label in given):
        found = {label: _unique(alike[_plain(label)], label, labels) for label in given}
        return found, "names, but for case, '_' and '-'"
    raise OptionError(_complaint(given, labels, classes))


_AMBIGUOUS = -1


def _by_name(labels: Sequence[str]) -> Mapping[str, int]:
    counts = Counter(labels)
    return {
        label: index if counts[label] == 1 else _AMBIGUOUS for index, label in enumerate(labels)
    }


def _unique(index: int, label: str, labels: Sequence[str]) -> int:
    if index == _AMBIGUOUS:
        raise OptionError(
            f"the model has several classes named '{label}'; name the data's classes by index, "
            f"0 to {len(labels) - 1}"
        )
    return index


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())


def _complaint(given: Sequence[str], labels: Sequence[str], classes: int) -> str:
    if not labels:
        return (
            f"the data's labels are {_list(given)}, and the model has no labels to match them "
            f"with; name its {classes} classes, one a line, with --labels FILE, or label the data "
            f"by index, 0 to {classes - 1}"
        )
    known = {_plain(label) for label in labels}
    missing = [label for label in given if _plain(label) not in known] or list(given)
    message = (
        f"the model has no class for {len(missing)} of the data's {len(given)} labels: "
        f"{_list(missing)}; it has {_list(labels)}"
    )
    if _SPLITS.issuperset(map(str.lower, given)):
        return f"{message}; give one of these folders itself to --data"
    near = difflib.get_close_matches(missing[0], labels, 1)
    return f"{message}; did you mean '{near[0]}'?" if near else message


def _list(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:_SHOWN])
    return shown + (f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else "")
