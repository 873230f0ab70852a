"""The straight line from a float32 graph to its judged variants of lower precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from calibration.calibrate import calibrate
from calibration.equalize import equalize
from calibration.images import ImageFile, choose_images
from calibration.keys import DataKey, ModelKey
from calibration.ranges_file import RangesFile
from calibration.show import calibration_warnings
from export.load import Classifier
from export.quantization.placement import PLACEMENTS, TENSORRT, Placement
from export.samples import sample_images
from export.variants.diagnose_precision import Cause, Patient, diagnose_float16, diagnose_int8
from export.variants.evaluation import UNKNOWN, Evaluation
from export.variants.fit_head import prepare_head_fit
from export.variants.judge import judge
from export.variants.made import Form, MadeVariant
from export.variants.make_float16 import find_unsafe, make_float16
from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt
from export.variants.order import PrecisionOrder
from export.variants.search import search
from export.verdict.gates import FAIL
from runtime.judgement import Judgement
from runtime.terminal import Screen
from runtime.vnni import has_vnni

__all__ = ["Task", "Variants", "make_variants"]

ASKED = "asked for with --keep-float"


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is asked for, of which model."""

    order: PrecisionOrder
    classifier: Classifier
    """Where the graph comes from; its module takes what the variants take."""
    evaluation: Evaluation
    """The images to judge by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Variants:
    """The variants of lower precision, and how they did."""

    made: tuple[MadeVariant, ...] = ()
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    """By the variant's name."""
    ranges: RangesFile | None = None
    """What int8 was made with."""
    causes: Mapping[str, Sequence[Cause]] = field(default_factory=dict)
    """Of each variant that fails its gate, by its name: the causes that were tried."""


def make_variants(
    task: Task, graph: ir.Model, form: Form, checkpoint: Path, screen: Screen
) -> Variants:
    """Return the variants that are asked for, judged; a judgement may say that one failed.

    Args:
        task: what is asked for.
        graph: float32, simplified, of normalised images.
        form: what the variants take.
        checkpoint: the file that keeps the state while the calibration runs.
        screen: shows the progress.

    Raises:
        DeployError: if the images, the ranges or the options cannot be used.
    """
    order = task.order
    line = _Line(order, task.classifier, graph, form, task.evaluation, screen)
    ranges = line.find_ranges(checkpoint) if "int8" in order.precisions else None
    unsafe = line.find_unsafe()
    made: list[MadeVariant] = []
    if "fp16" in order.precisions:
        made.append(make_float16(graph, unsafe, form, screen))
    if ranges is not None:
        made += line.make_int8(ranges, unsafe)
    judgements = judge(made, task.classifier, task.evaluation, form.pixels, screen)
    failed = [each for each in made if judgements[each.name].status == FAIL]
    return Variants(
        made=tuple(made),
        judgements=judgements,
        ranges=ranges,
        causes={each.name: line.diagnose(each, ranges) for each in failed},
    )


@dataclass(frozen=True)
class _Line:
    """What every step of the line needs."""

    order: PrecisionOrder
    classifier: Classifier
    graph: ir.Model
    form: Form
    evaluation: Evaluation
    screen: Screen

    def find_ranges(self, checkpoint: Path) -> RangesFile:
        """Return ranges that were measured before, if they are of this, or measure them."""
        order, image = self.order, self.classifier.image
        if order.ranges is not None:
            keys = [DataKey.of(self._fitted(), order.method)] if order.calibration_data else []
            return RangesFile.load(order.ranges, ModelKey.of(self.graph, image), *keys)
        wanted = order.calibration(checkpoint, self.evaluation.files)
        calibration = calibrate(self.graph, image, wanted, self.screen)
        for warning in calibration_warnings(calibration):
            self.screen.warn(warning)
        return calibration.ranges

    def find_unsafe(self) -> dict[str, str]:
        """Return the nodes that should not be float16; none where float16 is not asked for."""
        if "fp16" not in self.order.precisions and self.order.int8_rest != "fp16":
            return {}
        files: Sequence[ImageFile] = self._fitted()
        source = f"'{self.order.calibration_data}'"
        if not files:
            samples = sample_images(self.classifier.samples)
            files = [ImageFile(path=path, sha256="") for path in samples]
            source = "the package: no calibration images were given"
        return find_unsafe(self.graph, self.classifier.image, files, source, self.screen)

    def make_int8(self, ranges: RangesFile, unsafe: Mapping[str, str]) -> list[MadeVariant]:
        """Return int8 for TensorRT and for ONNX Runtime."""
        equalized = equalize(self.graph, ranges.peaks)
        recipe = Int8Recipe(
            equalized=equalized,
            ranges=ranges,
            form=self.form,
            vnni=has_vnni(),
            half_rest=self.order.int8_rest == "fp16",
            unsafe=unsafe,
            head_fit=prepare_head_fit(equalized, self._fitted(), self.form, self.screen),
        )
        return [
            make_tensorrt(recipe, self._kept(recipe, TENSORRT), self.screen),
            make_cpu(recipe, self._kept(recipe, recipe.for_cpu), self.screen),
        ]

    def diagnose(self, made: MadeVariant, ranges: RangesFile | None) -> tuple[Cause, ...]:
        """Return the causes that were tried of a variant's failure."""
        files = self._fitted()
        patient = Patient(
            graph=self.graph,
            image=self.classifier.image,
            calibration=Evaluation(files=files, classes=(UNKNOWN,) * len(files), source=""),
            judged=self.evaluation,
            kept_float=tuple(made.kept_float),
        )
        if made.placement == "" or ranges is None:
            return diagnose_float16(patient)
        placement = next(each for each in PLACEMENTS if each.name == made.placement)
        patient = dataclasses.replace(patient, graph=equalize(self.graph, ranges.peaks))
        return diagnose_int8(patient, placement, ranges.ranges(placement.grid), self.screen)

    def _kept(self, recipe: Int8Recipe, placement: Placement) -> dict[str, str]:
        if not self.order.searches:
            return dict.fromkeys(self.order.keep_float, ASKED)
        without = self.evaluation.files
        return search(self.order, self.classifier, recipe, placement, without, self.screen)

    def _fitted(self) -> tuple[ImageFile, ...]:
        """Return the images that ranges are measured on; none if no folder was given."""
        if self.order.calibration_data is None:
            return ()
        folder, count = self.order.calibration_data, self.order.images
        files, _ = choose_images(folder, count, self.evaluation.files)
        return files
