"""The images that a variant failed on: with them everything is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.images import ImageFile
from calibration.probe import Probe
from calibration.resume import batch_size
from export.variants.evaluation import Evaluation, read_portions, spread
from export.variants.judge_range import judge_range
from export.variants.made import Form, MadeVariant
from export.variants.tally import Tally, conclude
from export.variants.variant_runner import VariantRunner
from runtime.judgement import Judgement
from runtime.preprocess import batch_input
from runtime.runner import Images, Logits

__all__ = ["Bench"]

_IMAGES = 256
"""That are judged by, at most."""
_BATCH = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """Images in batches, and what float32 makes of them."""

    graph: ir.Model
    """Float32, of normalised images."""
    source: str
    ranked: bool
    """The outputs are logits of trained classes."""
    files: Sequence[Sequence[ImageFile]]
    """Those of each batch, the unreadable among them."""
    given: Sequence[Images]
    """As the variants take them."""
    normalised: Sequence[Images]
    classes: Sequence[NDArray[np.intp]]
    """The true ones; UNKNOWN where they are not told."""
    truth: Sequence[Logits]
    """Of float32."""

    @staticmethod
    def of(judged: Evaluation, form: Form, graph: ir.Model, *, ranked: bool) -> Bench:
        """Return the images, some of them if they are very many.

        Args:
            judged: that the variant failed on.
            form: what variants take.
            graph: float32, of normalised images.
            ranked: the outputs are logits of trained classes.

        Raises:
            ImageError: if no image can be read.
            BackendError: if the graph cannot run on them.
        """
        size = min(_BATCH, batch_size(graph, form.image))
        some = spread(judged, _IMAGES)
        portions = list(read_portions(some, form.image, "NCHW", size))
        normalised = [batch_input(portion.images, form.image) for portion in portions]
        given = normalised
        if form.pixels:
            given = [batch_input(each.images, form.image, form.pixels) for each in portions]
        output = str(graph.graph.outputs[0].name)
        probe = Probe(graph, [output])
        return Bench(
            graph=graph,
            source=judged.source,
            ranked=ranked,
            files=[some.files[i : i + size] for i in range(0, len(some.files), size)],
            given=given,
            normalised=normalised,
            classes=[portion.classes for portion in portions],
            truth=[probe.run(images)[output] for images in normalised],
        )

    def judge(self, *made: MadeVariant) -> Judgement:
        """Return how variants of one precision do, which take turns at the batches."""
        runners = [VariantRunner(each) for each in made]
        tally = Tally()
        for number, images in enumerate(self.given):
            answer = runners[number % len(runners)].logits(images)
            tally.add(self.truth[number], answer, self.classes[number])
        precision = made[0].precision
        judgement = conclude(precision, tally, self.source, ranked=self.ranked)
        if precision == "int8":
            return judgement
        return judge_range(judgement, self.graph, self.normalised, made[0].kept_float)

    def worst(self, made: MadeVariant, count: int) -> Images:
        """Return so many normalised images on which the variant errs most."""
        runner = VariantRunner(made)
        noise = [
            np.square(runner.logits(images) - truth).sum(axis=1)
            for images, truth in zip(self.given, self.truth, strict=True)
        ]
        chosen = np.argsort(-np.concatenate(noise), kind="stable")[:count]
        return np.concatenate(self.normalised)[chosen]
