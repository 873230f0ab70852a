"""The straight line from a float32 graph to its judged variants of lower precision."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from calibration.calibrate import Answers, calibrate
from calibration.equalize import equalize
from calibration.images import ImageFile, choose_images
from calibration.keys import DataKey, ModelKey
from calibration.ranges_file import RangesFile
from calibration.resume import batch_size
from calibration.show import calibration_warnings
from export.classifier import Classifier
from export.quantization.placement import TENSORRT, Placement
from export.samples import sample_images
from export.variants.cause import Diagnosis
from export.variants.diagnose_precision import Setting, diagnose_precision
from export.variants.evaluation import Evaluation, read_portions, spread
from export.variants.fit_head import prepare_head_fit
from export.variants.judge import judge
from export.variants.judge_range import judge_range
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

_RANGE_IMAGES = 256
"""On which float16 must hold what it computes, at most."""


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
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    """Of each variant that fails its gate, by its name."""


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
    ranges, answers = line.find_ranges(checkpoint) if "int8" in order.precisions else (None, {})
    unsafe = line.find_unsafe()
    recipe = line.plan_int8(ranges, answers, unsafe) if ranges is not None else None
    made: list[MadeVariant] = []
    if "fp16" in order.precisions:
        made.append(make_float16(graph, unsafe, form, screen))
    if recipe is not None:
        made += line.make_int8(recipe)
    judgements = judge(made, task.classifier, task.evaluation, form.pixels, screen)
    if "fp16" in judgements:
        judgements["fp16"] = line.judge_range(judgements["fp16"], made[0].kept_float)
    failed = [each for each in made if judgements[each.name].status == FAIL]
    return Variants(
        made=tuple(made),
        judgements=judgements,
        ranges=ranges,
        diagnoses=line.diagnose(failed, recipe),
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

    def find_ranges(self, checkpoint: Path) -> tuple[RangesFile, Answers]:
        """Return ranges that were measured before, if they are of this, or measure them.

        With them what the graph made of the images that were measured here.
        """
        order, image = self.order, self.classifier.image
        if order.ranges is not None:
            keys = [DataKey.of(self._fitted(), order.method)] if order.calibration_data else []
            return RangesFile.load(order.ranges, ModelKey.of(self.graph, image), *keys), {}
        wanted = order.calibration(checkpoint, self.evaluation.files)
        calibration = calibrate(self.graph, image, wanted, self.screen)
        for warning in calibration_warnings(calibration):
            self.screen.warn(warning)
        return calibration.ranges, calibration.answers

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

    def judge_range(self, judgement: Judgement, kept: Collection[str]) -> Judgement:
        """Return the judgement of float16, which also has to hold what it computes."""
        image = self.form.image
        some = spread(self.evaluation, _RANGE_IMAGES)
        portions = read_portions(some, image, "", batch_size(self.graph, image))
        batches = (portion.images for portion in portions)
        return judge_range(judgement, self.graph, batches, kept)

    def plan_int8(
        self, ranges: RangesFile, answers: Answers, unsafe: Mapping[str, str]
    ) -> Int8Recipe:
        """Return how int8 is made."""
        equalized = equalize(self.graph, ranges.peaks)
        return Int8Recipe(
            equalized=equalized,
            ranges=ranges,
            form=self.form,
            vnni=has_vnni(),
            half_rest=self.order.int8_rest == "fp16",
            unsafe=unsafe,
            head_fit=prepare_head_fit(equalized, self._fitted(), answers, self.form, self.screen),
        )

    def make_int8(self, recipe: Int8Recipe) -> list[MadeVariant]:
        """Return int8 for TensorRT and for ONNX Runtime."""
        return [
            make_tensorrt(recipe, self._kept(recipe, TENSORRT), self.screen),
            make_cpu(recipe, self._kept(recipe, recipe.for_cpu), self.screen),
        ]

    def diagnose(
        self, failed: Sequence[MadeVariant], recipe: Int8Recipe | None
    ) -> dict[str, Diagnosis]:
        """Return what was tried on each of the variants that failed, by its name."""
        setting = Setting(
            classifier=self.classifier,
            graph=self.graph,
            form=self.form,
            recipe=recipe,
            calibration=self._fitted(),
            judged=self.evaluation,
        )
        return diagnose_precision(failed, setting, self.screen) if failed else {}

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
