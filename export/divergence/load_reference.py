"""Loads the module that a bundle's graphs were traced from: the truth they are laid beside."""

from __future__ import annotations

import onnx_ir as ir
from torch import nn

from calibration.rounded_tensors import WEIGHTED
from export.classifier import Classifier
from export.divergence.wish import Wish
from export.load import load
from export.load_options import LoadOptions
from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.manifest import Manifest

__all__ = ["load_reference"]


def load_reference(wish: Wish, bundle: Bundle, graph: ir.Model) -> Classifier:
    """Return the classifier that the bundle is of, as far as names and shapes tell.

    Whether its weights are those of the bundle, their hash tells: see `Manifest.weights`.

    Args:
        wish: what to load.
        bundle: whose manifest says what was exported.
        graph: of the bundle's variant "fp32".

    Raises:
        OptionError: if it is another model, or the weights are needed and not given.
        CheckpointError: if the weights cannot be read or are not of this model.
    """
    manifest = bundle.manifest
    known = manifest.model.name
    if not wish.weights and wish.name not in ("auto", known):
        raise OptionError(
            f"'{bundle.folder}' is of {known}, given {wish.name}; expected {known}, or --weights"
        )
    weights = wish.weights or _weights(manifest, bundle)
    drawn = weights == "random"
    # A model that is not of the catalogue may take no other size.
    image = manifest.image if ":" in known else None
    classifier = load(
        wish.name if wish.weights else known,
        LoadOptions(
            weights=weights,
            ema=wish.ema,
            from_rgb=wish.from_rgb,
            head=_head(manifest),
            seed=_seed(manifest) if drawn else 0,
            classes=manifest.model.classes if drawn and _head(manifest) == "logits" else None,
            channels=manifest.image.channel_count if drawn or wish.from_rgb else None,
            resize=image.resize if image else None,
            crop=image.crop if image else None,
        ),
    )
    _check_layers(classifier, bundle, graph)
    return classifier


def _weights(manifest: Manifest, bundle: Bundle) -> str:
    origin, detail = manifest.weights.origin, manifest.weights.detail
    if origin == "file":
        raise OptionError(
            f"'{bundle.folder}' was exported from the weights '{detail}', which it does not hold; "
            "give them: --weights FILE"
        )
    if origin == "imagenet" and "V2" in detail:
        return "imagenet-v2"
    return "" if origin == "factory" else origin


def _head(manifest: Manifest) -> str:
    name = manifest.variants["fp32"].output.name
    return {"features": "features", "stage1": "stages"}.get(name, "logits")


def _seed(manifest: Manifest) -> int:
    number = manifest.weights.detail.rpartition("seed ")[2]
    return int(number) if number.isdigit() else 0


def _check_layers(classifier: Classifier, bundle: Bundle, graph: ir.Model) -> None:
    layers = dict(classifier.module.named_modules())
    for node in graph.graph:
        if node.op_type not in WEIGHTED or node.inputs[1] is None:
            continue
        layer = layers.get(str(node.name))
        weight = getattr(layer, "weight", None)
        wanted = [d for d in node.inputs[1].shape or () if isinstance(d, int)]
        if weight is None or not _fits(layer, list(weight.shape), wanted):
            given = "no such layer" if weight is None else _sizes(list(weight.shape))
            raise OptionError(
                f"'{bundle.folder}' is not of {classifier.name}: its layer '{node.name}' is "
                f"{_sizes(wanted)}, that of {classifier.name} {given}; expected "
                f"{bundle.manifest.model.name}"
            )


def _fits(layer: nn.Module | None, given: list[int], wanted: list[int]) -> bool:
    if isinstance(layer, nn.Linear):
        return sorted(given) == sorted(wanted)
    # One input channel more: the mark of graphs that take pixels, see export.pixels.
    return given == wanted or [given[0], given[1] + 1, *given[2:]] == wanted


def _sizes(shape: list[int]) -> str:
    return "x".join(map(str, shape))
