"""Lays a variant beside PyTorch: all that is needed to look at both, as often as need be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import torch

from calibration.probe import Probe
from export.classifier import Classifier
from export.divergence.equalized import is_equalized
from export.divergence.listen import norms_behind
from export.divergence.measure_depth import Depth, decibel, measure_depth
from export.divergence.places import Place, find_places
from export.divergence.show_images import Shown, choose_files, show_images
from export.reference import TorchRunner
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.feed import fill_batch, fixed_batch
from runtime.onnx_files.check_self_contained import check_self_contained
from runtime.open_runner import open_runner

__all__ = ["Sides", "read_variant"]

_BATCH = 4
"""Images at once, at most."""
_TENSORS = 64
"""How many tensors are held at once, about, each of one image: they bound the batch."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """A module and one variant of the bundle it was exported to."""

    bundle: Bundle
    variant: str
    classifier: Classifier
    original: ir.Model
    """The graph of the variant "fp32"."""
    graph: ir.Model
    files: tuple[Path, ...]
    """The images to show; without any, random ones are."""
    skipped: tuple[str, ...]
    """Why others are not shown, a line each."""
    count: int
    """How many images."""
    places: tuple[Place, ...]
    """Where the two can be compared."""
    sources: dict[str, str]
    """For each place the submodule whose output it is: a convolution's is its BatchNorm's."""
    equalized: bool
    """The variant's channels are scaled."""

    @staticmethod
    def of(
        bundle: Bundle,
        variant: str,
        original: ir.Model,
        classifier: Classifier,
        data: Path | None,
        images: int,
    ) -> Sides:
        """Return the two sides.

        Args:
            bundle: where the graphs are.
            variant: a name in its manifest.
            original: the graph of its variant "fp32".
            classifier: what it was exported from.
            data: a folder of images; None for those of this package.
            images: how many at most.

        Raises:
            OptionError: if there are no such variant or images.
            ImageError: if none of the images can be read.
            BundleError: if the graph and the module have no tensor in common.
        """
        graph = original if variant == "fp32" else read_variant(bundle, variant)
        files, skipped = choose_files(data, images, classifier.samples, bundle.manifest)
        places = _shared_places(bundle, classifier, original, graph)
        shown = next(show_images(files[:1], bundle.manifest, 1, 1))
        return Sides(
            bundle=bundle,
            variant=variant,
            classifier=classifier,
            original=original,
            graph=graph,
            files=files,
            skipped=skipped,
            count=len(files) or images,
            places=places,
            sources=_sources(places, classifier, original, shown),
            equalized=graph is not original and is_equalized(graph, original),
        )

    def measure(self, places: Sequence[Place]) -> tuple[Depth, ...]:
        """Return how far they are apart at these places: one pass over the images."""
        probe = Probe(self.graph, [place.tensor for place in places])
        return measure_depth(
            self.classifier.module,
            self.sources,
            probe,
            places,
            self._shown(max(1, min(_BATCH, _TENSORS // len(places)))),
            equalized=self.equalized,
        )

    def measure_as_run(self) -> float:
        """Return the SQNR of the answer in decibel, as ONNX Runtime runs the variant on this CPU.

        Raises:
            BackendError: if it cannot run it.
        """
        runner = open_runner(self.bundle, self.variant)
        reference = TorchRunner(self.classifier.module, torch.float64)
        signal = noise = 0.0
        for shown in self._shown(_BATCH):
            expected = reference.logits(shown.images)
            given = runner.logits(fill_batch(shown.fed, self._fixed_batch))[: len(expected)]
            signal += float(np.square(expected).sum())
            noise += float(np.square(given - expected).sum())
        return decibel(signal, noise)

    @property
    def _fixed_batch(self) -> int:
        """The only batch the graph takes; 0 if it takes any."""
        return fixed_batch(self.bundle.variant(self.variant))

    def _shown(self, most: int) -> Iterator[Shown]:
        batch = min(most, self._fixed_batch or most)
        return show_images(self.files, self.bundle.manifest, self.count, batch)


def read_variant(bundle: Bundle, name: str) -> ir.Model:
    """Return the graph of a variant, its weights within.

    Raises:
        OptionError: if there is no such variant.
        BundleError: if the file was altered, or its weights lie elsewhere.
    """
    data = bundle.read(bundle.variant(name).file)
    check_self_contained(data)
    return ir.from_proto(onnx.load_from_string(data))


def _shared_places(
    bundle: Bundle, classifier: Classifier, original: ir.Model, graph: ir.Model
) -> tuple[Place, ...]:
    made = {str(value.name) for node in graph.graph for value in node.outputs}
    found = find_places(classifier.module, original)
    shared = tuple(place for place in found if place.tensor in made)
    if not any(place.border for place in shared):
        raise BundleError(
            f"'{bundle.folder}': no tensor of the graph bears the name of a layer of "
            f"{classifier.name}; export the model again"
        )
    return shared


def _sources(
    places: Sequence[Place], classifier: Classifier, original: ir.Model, shown: Shown
) -> dict[str, str]:
    behind = norms_behind(classifier.module, shown.images)
    # A graph that kept its BatchNormalization has the convolution's own output, too.
    kept = {str(node.name) for node in original.graph}
    folded = {conv: norm for conv, norm in behind.items() if norm not in kept}
    return {place.module: folded.get(place.module, place.module) for place in places}
