"""Diagnoses why a variant fails its gate: tries the usual causes, and names the one that explains.

    channel order            red and blue are swapped
    missing normalisation    the model wants mean and std of its own
    double normalisation     images, or the model, are normalised already
    wrong crop               the model wants to see more, or less, of an image
    saturating layer         one tensor clips on the images judged by
    too few images           more calibration images would show what the judged ones do
    unlike images            the calibration images are of another kind
    sensitive layer          one node needs more than 8 bits, whatever its range

Whether images are prepared as the model wants them is asked of float32 (`find_preparation`): what
is wrong there is wrong in every precision, and told alone where that takes the noise away.
All others are tried on the variant, made anew with one thing done otherwise (`try_int8`,
`try_float16`); of those that explain the failure equally well the first is named, and the others
with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from calibration.images import ImageFile
from export.classifier import Classifier
from export.variants.bench import Bench
from export.variants.cause import Cause, Diagnosis, name_causes, takes_half_away
from export.variants.evaluation import Evaluation
from export.variants.find_preparation import Model, Preparation, find_preparation
from export.variants.judge import is_ranked
from export.variants.made import Form, MadeVariant
from export.variants.make_int8 import Int8Recipe
from export.variants.try_float16 import float16_for, leave_in_float32
from export.variants.try_int8 import Int8Trials
from export.verdict.gates import FAIL
from runtime.image_spec import ImageSpec
from runtime.judgement import Judgement
from runtime.terminal import Screen

__all__ = ["Setting", "diagnose_precision"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What variants were made of, and judged by."""

    classifier: Classifier
    """Its module takes what the variants take."""
    graph: ir.Model
    """Float32, of normalised images."""
    form: Form
    """What the variants take."""
    recipe: Int8Recipe | None
    """Of int8; None if there is none."""
    calibration: Sequence[ImageFile]
    """The images that ranges were measured on; none if they came from a file."""
    judged: Evaluation


def diagnose_precision(
    failed: Sequence[MadeVariant], setting: Setting, screen: Screen
) -> dict[str, Diagnosis]:
    """Return what explains that variants failed, of each by its name.

    Args:
        failed: the variants.
        setting: what they were made of.
        screen: shows the progress.

    Raises:
        DeployError: if a graph cannot run on the images.
    """
    preparation = _find_preparation(setting, screen)
    found = {}
    for made in failed:
        with screen.step("diagnose") as step:
            bench = _bench(setting, setting.form)
            as_it_is = bench.judge(made)
            causes = [_try_preparation(made, setting, preparation)] if preparation else []
            if not any(_suffices(cause, as_it_is) for cause in causes):
                causes += _try_all(made, setting, bench, screen)
            diagnosis = name_causes(as_it_is, causes)
            first = next(
                (each.name for each in diagnosis.causes if each.explains), "no usual cause"
            )
            step.detail = f"{made.name}: explained by {first}"
        found[made.name] = diagnosis
    return found


def _find_preparation(setting: Setting, screen: Screen) -> Preparation | None:
    classifier = setting.classifier
    if not is_ranked(classifier):  # nothing was trained on images of any preparation
        return None
    module = classifier.module
    model = Model(
        # That of a graph that takes pixels stands behind its normalisation.
        module=next(module.children()) if setting.form.pixels else module,
        graph=setting.graph,
        image=setting.form.image,
        classes=classifier.classes,
    )
    with screen.step("preparation") as step:
        found = find_preparation(model, setting.judged, screen)
        step.detail = found.kind if found else "nothing shows that images are prepared wrongly"
    return found


def _try_all(made: MadeVariant, setting: Setting, bench: Bench, screen: Screen) -> list[Cause]:
    """Return the causes that lie in the variant.

    What one range explains needs no others, and what ranges explain no wider type: so goes the
    order.
    """
    if made.precision == "float16":
        return leave_in_float32(made, setting.form, bench)
    trials = _trials(made, setting, bench)
    return [
        trials.widen_one_range(),
        trials.measure_on_judged(),
        trials.leave_one_in_float(screen),
    ]


def _suffices(cause: Cause, as_it_is: Judgement) -> bool:
    """Return whether nothing else need be tried."""
    judgement = cause.judgement
    if judgement is None:
        return True
    return judgement.status != FAIL and takes_half_away(judgement, as_it_is)


def _try_preparation(made: MadeVariant, setting: Setting, preparation: Preparation) -> Cause:
    """Return what comes of the preparation that the model wants."""
    evidence = preparation.evidence
    if made.precision == "int8" and not setting.calibration:
        evidence += "; --ranges FILE is of the wrong one: give --calibration-data FOLDER instead"
    return Cause(
        name=preparation.kind,
        tried=preparation.change,
        judgement=_prepare(made, setting, preparation.image),
        cure=preparation.cure,
        evidence=evidence,
        as_good=preparation.as_good,
        shown=True,
    )


def _prepare(made: MadeVariant, setting: Setting, image: ImageSpec | None) -> Judgement | None:
    """Return how the variant does with all images prepared otherwise; None if it cannot be made."""
    if image is None:
        return None
    form = dataclasses.replace(setting.form, image=image)
    bench = _bench(setting, form)
    if made.precision == "float16":
        return bench.judge(float16_for(form, bench, {}))
    return _trials(made, setting, bench).prepare(form, setting.calibration)


def _bench(setting: Setting, form: Form) -> Bench:
    ranked = is_ranked(setting.classifier)
    return Bench.of(setting.judged, form, setting.graph, ranked=ranked)


def _trials(made: MadeVariant, setting: Setting, bench: Bench) -> Int8Trials:
    assert setting.recipe is not None  # there is an int8 variant
    return Int8Trials(made=made, recipe=setting.recipe, bench=bench)
