"""Tries the usual causes of noise on an int8 variant: each is mended, and it is made anew.

saturating layer    the tensor that the images judged by exceed most is given its range
sensitive layer     the node that costs most stays in float
too few images      ranges are measured on images judged by, and the half they come from is
                    answered with those of the other half; if as many as it was calibrated on
                    would do, the calibration images are not too few, but unlike these
preparation         all images are prepared as the model wants them; ranges from a file, which are
                    of those that are not, are measured on the other half of the images judged by
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.choose import choose
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.images import ImageFile
from calibration.measure import measure
from calibration.probe import Probe
from calibration.ranges import ActivationRanges, Range
from calibration.rounded_tensors import head
from calibration.sensitivity.sensitivity import sensitivity, worst_first
from calibration.take_evenly import take_evenly
from export.quantization.placement import TENSORRT, Placement
from export.variants.bench import Bench
from export.variants.cause import HALF_DB, Cause
from export.variants.evaluation import UNKNOWN, Evaluation, read_portions, spread
from export.variants.fit_head import prepare_head_fit
from export.variants.made import Form, MadeVariant
from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt
from export.verdict.gates import FAIL
from runtime.judgement import Judgement
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["Int8Trials"]

_QUIET = Screen(quiet=True)
_WORST_IMAGES = 16
"""That nodes are compared on: those on which the variant errs most."""
_MOST_NODES = 3
"""That are left in float together."""
_BATCH = 8
_CALIBRATED = 128
"""Images that ranges are measured on of another preparation, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Int8Trials:
    """An int8 variant that fails, and what it was made of."""

    made: MadeVariant
    recipe: Int8Recipe
    bench: Bench

    def widen_one_range(self) -> Cause:
        """Return what comes of the one tensor that is exceeded most, were it not."""
        ranges = self._ranges
        peaks = _extremes(self.recipe, list(ranges.tensors), self.bench.normalised)

        def excess(name: str) -> float:
            needed, old = peaks[name], ranges.tensors[name]
            return max(needed.high - old.high, old.low - needed.low) / (old.high - old.low)

        worst = max(peaks, key=excess)
        old = ranges.tensors[worst]
        wider = Range(low=min(peaks[worst].low, old.low), high=max(peaks[worst].high, old.high))
        changed = dataclasses.replace(ranges, tensors={**ranges.tensors, worst: wider})
        clips = ranges.method != "minmax"
        return Cause(
            name="saturating layer",
            tried=f"'{worst}' given its range",
            judgement=self.bench.judge(self._make(self._measured_as(changed))),
            evidence=f"'{worst}' reaches {wider.low:.3g} to {wider.high:.3g}, and its range is "
            f"{old.low:.3g} to {old.high:.3g}",
            cure=f"export again with {'--method minmax, or with ' if clips else ''}calibration "
            "images that reach so far",
        )

    def leave_one_in_float(self, screen: Screen) -> Cause:
        """Return what comes of the costliest node, were it left in float.

        With those that cost as much: around a tensor that 8 bits cannot hold there are several.
        """
        graph, grid, ranges = self.recipe.equalized, self._placement.grid, self._ranges
        nodes = [name for name in quantizable(graph, grid) if name not in self.made.kept_float]
        costs = sensitivity(
            graph,
            [[self.bench.worst(self.made, _WORST_IMAGES)]],
            lambda part, names: emulate_nodes(part, ranges, grid, names),
            nodes,
            nodes,
            screen,
        )
        ordered = worst_first(costs.nodes)
        as_bad = ordered[0].score.sqnr_db + HALF_DB
        worst = [cost.name for cost in ordered if cost.score.sqnr_db < as_bad][:_MOST_NODES]
        names = " and ".join(f"'{name}'" for name in worst)
        return Cause(
            name="sensitive layer",
            tried=f"{names} left in float",
            judgement=self.bench.judge(self._make(self.recipe, *worst)),
            evidence=f"of all layers quantized alone, {names} cost most",
            cure=f"export again with --keep-float {' '.join(worst)}, or --keep-float auto",
        )

    def measure_on_judged(self) -> Cause:
        """Return what comes of ranges that are measured on images judged by."""
        count = self.recipe.ranges.images
        everything = sum(len(images) for images in self.bench.given)
        as_it_is, judgement = self.bench.judge(self.made), self._cross_judge(everything)
        few = self._cross_judge(count) if 2 * count < everything else judgement
        halfway = (as_it_is.sqnr_db + judgement.sqnr_db) / 2
        unlike = few.status != FAIL and few.sqnr_db > halfway
        return Cause(
            name="calibration images unlike those judged by" if unlike else "too few images",
            tried="ranges of the images judged by",
            judgement=judgement,
            evidence=f"its ranges are of {count} calibration images",
            cure="calibrate on images like those it will meet"
            if unlike
            else "calibrate on more images, better 300: --calibration-data, --calibration-images",
        )

    def prepare(self, form: Form, files: Sequence[ImageFile]) -> Judgement:
        """Return what comes of calibration images that are prepared as those of the bench.

        Args:
            form: of a variant of images that are prepared so.
            files: calibration images; if none, each half of those judged by serves the other.
        """
        if not files:
            recipe = dataclasses.replace(self.recipe, form=form)
            return dataclasses.replace(self, recipe=recipe)._cross_judge(_CALIBRATED)
        known = Evaluation(files=tuple(files), classes=(UNKNOWN,) * len(files), source="")
        portions = read_portions(spread(known, _CALIBRATED), form.image, "", _BATCH)
        ranges = self._measure(portion.images for portion in portions)
        fit = prepare_head_fit(self.recipe.equalized, files, {}, form, _QUIET)
        recipe = dataclasses.replace(self._measured_as(ranges), form=form, head_fit=fit)
        return self.bench.judge(self._make(recipe))

    def _cross_judge(self, most: int) -> Judgement:
        """Return how it does if each half is what the other one is calibrated on.

        Args:
            most: images of each half to calibrate on.
        """
        batches = range(len(self.bench.given))
        halves = (batches[1::2] or batches, batches[::2])
        return self.bench.judge(*(self._make(self._calibrated_on(half, most)) for half in halves))

    def _calibrated_on(self, batches: Sequence[int], most: int) -> Int8Recipe:
        """Return the recipe with the ranges, and the head's fit, of images judged by."""
        images = np.concatenate([self.bench.normalised[number] for number in batches])
        files = [file for number in batches for file in self.bench.files[number]]
        some = images[take_evenly(range(len(images)), most)]
        recipe = self._measured_as(self._measure([some]))
        fit = prepare_head_fit(recipe.equalized, take_evenly(files, most), {}, recipe.form, _QUIET)
        return dataclasses.replace(recipe, head_fit=fit)

    @property
    def _placement(self) -> Placement:
        return TENSORRT if self.made.name == "int8.trt" else self.recipe.for_cpu

    @property
    def _ranges(self) -> ActivationRanges:
        return self.recipe.ranges.ranges(self._placement.grid)

    def _measure(self, images: Iterable[Images]) -> ActivationRanges:
        seen = measure(self.recipe.equalized, images)
        return choose(seen, self._ranges.method, self._placement.grid)

    def _measured_as(self, ranges: ActivationRanges) -> Int8Recipe:
        """Return the recipe with other ranges for the variant's target."""
        file = self.recipe.ranges
        grids = {**file.grids, ranges.grid: ranges}
        return dataclasses.replace(self.recipe, ranges=dataclasses.replace(file, grids=grids))

    def _make(self, recipe: Int8Recipe, *more: str) -> MadeVariant:
        floats = head(recipe.equalized)
        asked = {node: why for node, why in self.made.kept_float.items() if node not in floats}
        make = make_tensorrt if self._placement is TENSORRT else make_cpu
        return make(recipe, asked | dict.fromkeys(more, ""), _QUIET)


def _extremes(
    recipe: Int8Recipe, tensors: Sequence[str], batches: Sequence[Images]
) -> dict[str, Range]:
    """Return the smallest and the largest value of each tensor, 0 among them."""
    probe = Probe(recipe.equalized, tensors)
    found = dict.fromkeys(tensors, (0.0, 0.0))
    for images in batches:
        for name, values in probe.run(images).items():
            low, high = found[name]
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return {name: Range(low=low, high=high) for name, (low, high) in found.items()}
