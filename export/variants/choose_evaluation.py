"""Chooses the real images that variants are judged by: none of them is calibrated on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from calibration.images import ImageFile, choose_images, read_batches
from calibration.survey import FEWEST, refuse_unreal, survey
from calibration.take_evenly import take_evenly
from export.classifier import Classifier
from export.samples import sample_images
from export.variants.evaluation import UNKNOWN, Evaluation
from export.variants.order import PrecisionOrder
from runtime.errors import OptionError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.match_labels import match_labels
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

__all__ = ["choose_evaluation", "true_classes"]

_HELD_BACK_SHARE = 4
"""One image in so many of the calibration folder is held back, where there is no other folder."""
_SAMPLE, _BATCH = 32, 8
"""So many of the images, so many at a time, are looked at before all else: are they real?"""


def choose_evaluation(order: PrecisionOrder, classifier: Classifier, screen: Screen) -> Evaluation:
    """Return the images to judge by: of the folder for it, or held back from the calibration's.

    Without any folder they are the package's sample images, which show little; that is said.

    Raises:
        OptionError: if a folder is missing or holds too few images, or those to judge by are the
            only ones to calibrate on.
        ImageError: if those to judge by are noise, or of a single colour.
    """
    folder = order.eval_data or order.calibration_data
    if classifier.image.channels == "planes":
        raise OptionError(
            f"the model takes {classifier.image.channel_count} planes, which no image file holds; "
            "its variants cannot be judged on images: leave --precision out"
        )
    if folder is None:
        files = tuple(_hashed(path) for path in sample_images(classifier.samples))
        screen.warn(
            f"no images given: judged on the {len(files)} sample images of the package, which show "
            "little; give --eval-data FOLDER"
        )
        classes = (UNKNOWN,) * len(files)
        return Evaluation(files=files, classes=classes, source="sample images of the package")
    if order.eval_data is not None:
        files, available = choose_images(folder, order.eval_images)
        source = f"of {available} images in '{folder}'"
    else:
        files, available = _hold_back(folder, order.eval_images)
        source = f"of {available} images in '{folder}', held back from calibration"
    if (different := _different(files)) < FEWEST:
        raise OptionError(
            f"images to judge by: of {len(files)} in '{folder}' no more than {different} differ; "
            f"expected at least {FEWEST}"
        )
    _check_rest(order, files)
    _check_real(files, classifier.image)
    classes, unknown = _read_classes(files, folder, classifier)
    if unknown:
        screen.note(f"{'':<12}           no true classes, so no top-1 accuracy: {unknown}")
    return Evaluation(files=files, classes=classes, source=source)


def _hold_back(folder: Path, most: int) -> tuple[tuple[ImageFile, ...], int]:
    _, available = choose_images(folder, 1)
    count = min(most, available // _HELD_BACK_SHARE)
    if count < FEWEST:
        raise OptionError(
            f"calibration images: given {available} in '{folder}'; expected at least "
            f"{FEWEST * _HELD_BACK_SHARE}, of which {FEWEST} are held back to judge by, better "
            "300; or give --eval-data FOLDER"
        )
    return choose_images(folder, count)


def _check_rest(order: PrecisionOrder, judged: Sequence[ImageFile]) -> None:
    """Return if there are images to calibrate on that the variants are not judged by."""
    if order.calibration_data is None or "int8" not in order.precisions:
        return
    rest, _ = choose_images(order.calibration_data, order.images, judged)
    if (different := _different(rest)) < FEWEST:
        raise OptionError(
            f"calibration images: '{order.calibration_data}' holds {different} that differ from "
            f"each other and from the {len(judged)} to judge by; expected at least {FEWEST}, "
            "better 300"
        )


def _check_real(files: Sequence[ImageFile], spec: ImageSpec) -> None:
    """Return unless a sample of the files is of what calibration refuses, too."""
    batches = read_batches(take_evenly(files, _SAMPLE), spec, _BATCH)
    refuse_unreal(survey([r for batch in batches for r in batch.records]), "images to judge by")


def _different(files: Sequence[ImageFile]) -> int:
    return len({file.sha256 for file in files})


def _hashed(path: Path) -> ImageFile:
    return ImageFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def true_classes(
    files: Sequence[ImageFile], folder: Path, classifier: Classifier
) -> tuple[int, ...]:
    """Return the class of each file of a folder; UNKNOWN of all if the folder does not tell."""
    classes, _ = _read_classes(files, folder, classifier)
    return classes


def _read_classes(
    files: Sequence[ImageFile], folder: Path, classifier: Classifier
) -> tuple[tuple[int, ...], str]:
    """Return the class of each file, and why none are known."""
    unknown = (UNKNOWN,) * len(files)
    if classifier.outputs != ("logits",):
        return unknown, f"the model gives {', '.join(classifier.outputs)}"
    try:
        dataset = open_dataset(folder)
        indices, _ = match_labels(dataset.labels(), classifier.labels, classifier.classes)
    except OptionError as error:
        return unknown, str(error)
    labels = {example.path: indices[example.label] for example in dataset.examples}
    return tuple(labels.get(file.path, UNKNOWN) for file in files), ""
