"""Loads a classifier: a named model with weights, and the preprocessing and labels they belong to.

    resnet18                      a name of the catalogue
    auto                          whatever the weights are of: the file tells
    torchvision:NAME  timm:NAME   a model of that library        see export.models.foreign
    module.path:factory           a model of your own

What a person says of classes and channels must agree with weights that have them; what they say of
preprocessing and labels takes the place of what the weights say. See export.models.sources for
where weights can come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from export.classifier import Classifier
from export.load_options import MAX_CHANNELS, MAX_CLASSES, LoadOptions
from export.models.build_module import build_module
from export.models.catalogue import find
from export.models.channels import for_channels, port_stem
from export.models.heads import attach_head
from export.models.resnet import ResNet
from export.models.sources import Source, open_source, open_unnamed
from export.prepare_image import prepare_image
from export.weights.check_weights import WORDS
from runtime.errors import CheckpointError, OptionError
from runtime.manifest import WeightsInfo
from runtime.read_labels import read_labels

__all__ = ["load"]

_AS_IT_COMES = LoadOptions()


def load(name: str, options: LoadOptions = _AS_IT_COMES) -> Classifier:
    """Return the named classifier with the weights, preprocessing and labels that are asked for.

    Raises:
        UnknownModelError: if there is no model of that name.
        CheckpointError: if the weights cannot be read, are not this model's, or disagree with the
            classes or channels that are asked for.
        OptionError: if the labels or the preprocessing cannot work.
    """
    load_it = _from_elsewhere if ":" in name else _from_catalogue
    classifier = load_it(name, options)
    if options.head == "logits":
        return classifier
    width = _width(classifier.module)
    module, outputs = attach_head(classifier.module, options.head, classifier.name)
    return replace(
        classifier,
        module=module,
        outputs=outputs,
        classes=width,
        labels=(),
        weights=replace(classifier.weights, sha256=_hash_weights(module.state_dict())),
    )


def _width(module: nn.Module) -> int:
    """Return how many features the head sees; 0 if the module is no ResNet of this project."""
    return module.fc.in_features if isinstance(module, ResNet) else 0


def _from_catalogue(name: str, options: LoadOptions) -> Classifier:
    """Return a classifier of the catalogue, named or recognised."""
    source = _open(name, options)
    _check_agreement("classes", options.classes, source.classes, MAX_CLASSES, source)
    if options.from_rgb:
        source = _port(source, options.channels or source.channels, options.from_rgb)
    else:
        _check_agreement("channels", options.channels, source.channels, MAX_CHANNELS, source)
    image = prepare_image(source.image, options)
    labels = read_labels(options.labels, source.classes) if options.labels else source.labels
    module = build_module(source, options.seed, options.init)
    weights = WeightsInfo(
        origin=source.origin,
        detail=source.detail or f"seed {options.seed}",
        sha256=_hash_weights(module.state_dict()),
    )
    return Classifier(
        name=source.card.name,
        module=module,
        image=image,
        labels=labels,
        weights=weights,
        in_channels=source.channels,
        classes=source.classes,
        samples=source.card.samples,
        notes=source.notes,
    )


def _from_elsewhere(name: str, options: LoadOptions) -> Classifier:
    """Return a classifier that is not of the catalogue."""
    from export.models.foreign import load_foreign

    if options.init or options.from_rgb:
        given = f"--init {options.init}" if options.init else f"--from-rgb {options.from_rgb}"
        raise OptionError(f"{name}: given {given}; expected a name of --list, or auto, with it")
    found = load_foreign(name, options)
    if options.classes not in (None, found.classes):
        raise OptionError(
            f"classes: given {options.classes}, but {name} has {found.classes}; leave --classes out"
        )
    weights = WeightsInfo(
        origin=found.origin, detail=found.detail, sha256=_hash_weights(found.module.state_dict())
    )
    return Classifier(
        name=name,
        module=found.module,
        image=found.image,
        labels=read_labels(options.labels, found.classes) if options.labels else found.labels,
        weights=weights,
        in_channels=found.channels,
        classes=found.classes,
    )


def _open(name: str, options: LoadOptions) -> Source:
    if options.ema and options.weights in WORDS:
        given = options.weights or "the model's own"
        raise OptionError(
            f"--ema: given {given} weights, which have no average over steps (EMA); "
            "expected a checkpoint file: --weights FILE"
        )
    if name != "auto":
        card = find(name)
        return open_source(
            card, options.weights, options.classes, options.channels, ema=options.ema
        )
    if options.weights in WORDS:
        given = options.weights or "no weights"
        raise OptionError(
            f"auto: given {given}; expected a checkpoint file to recognise the model by: "
            "--weights FILE"
        )
    return open_unnamed(options.weights, ema=options.ema)


def _port(source: Source, channels: int, way: str) -> Source:
    """Return the source with weights for other channels than the RGB they were trained on."""
    if not source.weights:
        raise OptionError(
            f"--from-rgb {way}: given random weights, which are drawn for any number of channels; "
            "leave it out, or give --weights"
        )
    if source.channels != 3:
        raise CheckpointError(
            f"--from-rgb {way}: the {source.title} have {source.channels} channels; expected 3, "
            "as of RGB images; leave --from-rgb out"
        )
    if way == "repeat":
        note = "repeat: the model keeps 3 channels; preprocessing makes three of a grey image's one"
        return replace(source, notes=(*source.notes, note))
    return replace(
        source,
        weights=port_stem(source.weights, channels, way, source.image.channels),
        channels=channels,
        image=for_channels(source.image, channels),
        notes=(*source.notes, f"{way}: the stem was ported from 3 channels to {channels}"),
    )


def _check_agreement(what: str, asked: int | None, found: int, most: int, source: Source) -> None:
    if asked not in (None, found):
        raise CheckpointError(
            f"{what}: given {asked}, but the {source.title} have {found}; "
            f"leave --{what} out, or choose other weights"
        )
    if found > most:
        raise CheckpointError(f"the {source.title} have {found} {what}; expected {most} at most")


def _hash_weights(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes, in the state dict's order."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().numpy().data)
    return digest.hexdigest()
