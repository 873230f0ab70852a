"""Loads models that are not of the catalogue: a library's, or those of a factory of your own.

    torchvision:NAME       preprocessing of the library's first published weights
    timm:NAME              preprocessing of the library's data config
    module.path:factory    a callable without arguments that returns an nn.Module; preprocessing is
                           ImageNet's unless it is said. Found as Python finds modules, the current
                           folder first. Called twice, to see whether its weights are random.

Each takes one tensor of images and returns one of logits. Nothing is imported before it is named,
and naming a factory runs its module: name only what you trust.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from export.load_options import LoadOptions
from export.models.catalogue import find
from export.models.channels import for_channels
from export.models.fit import fit
from export.models.imagenet import VERSIONS, find_imagenet, published_image
from export.prepare_image import prepare_image
from export.weights.read_document import read_document
from export.weights.unwrap import bare, unwrap
from runtime.errors import (
    BackendMissingError,
    CheckpointError,
    OptionError,
    UnknownModelError,
)
from runtime.image_spec import ImageSpec

__all__ = ["Foreign", "load_foreign"]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A foreign model, ready to run."""

    module: nn.Module
    """In eval mode, float32, on the CPU."""
    image: ImageSpec
    classes: int
    channels: int
    origin: str
    """"random", "imagenet", "factory" or "file"."""
    detail: str
    labels: tuple[str, ...] = ()


def load_foreign(name: str, options: LoadOptions) -> Foreign:
    """Return the model with its weights and preprocessing.

    Args:
        name: as above; it has a colon.
        options: what is asked of it; of the laws and ways of the catalogue, nothing.

    Raises:
        UnknownModelError: if the library or the module has none of that name.
        OptionError: if it cannot be made as asked for, or is no classifier of images.
        BackendMissingError: if the library is not installed.
        CheckpointError: if the weights cannot be read, are not the model's or not finite.
    """
    library, _, rest = name.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(options.seed)
        made = _LIBRARIES.get(library, _from_factory)(name, rest, options)
    module = made.module.float().cpu().eval().requires_grad_(requires_grad=False)
    if made.origin in ("random", "factory") and options.weights not in ("", "random"):
        _read_weights(module, Path(options.weights), name, options)
        made = replace(made, origin="file", detail=Path(options.weights).name)
    _check_finite(module, name)
    image = prepare_image(made.image, options)
    classes = _count_classes(module, made.channels, image.crop, name)
    return replace(made, module=module, image=image, classes=classes)


def _from_torchvision(name: str, rest: str, options: LoadOptions) -> Foreign:
    try:
        from torchvision.models import get_model, list_models
    except ImportError:
        raise BackendMissingError(
            f"{name} needs the package 'torchvision'. Run: pip install torchvision"
        ) from None
    import torchvision.models as classifiers

    known = list_models(module=classifiers)
    if rest not in known:
        raise UnknownModelError(f"no model '{rest[:60]}' in torchvision; {_near(rest, known)}")
    if options.channels not in (None, 3):
        raise OptionError(
            f"{name}: given {options.channels} channels; torchvision's models have 3; take a name "
            "of --list, which has any number"
        )
    if options.weights in VERSIONS:
        found = find_imagenet(rest, options.weights)
        with _translated(name):
            module = get_model(rest, weights=None)
        document, _ = read_document(found.path)
        weights = unwrap(document, found.path).weights
        module.load_state_dict(fit(weights, module.state_dict(), "imagenet weights", name))
        return Foreign(
            module=module,
            image=found.image,
            classes=len(found.labels),
            channels=3,
            origin="imagenet",
            detail=found.detail,
            labels=found.labels,
        )
    sized = {"num_classes": options.classes} if options.classes else {}
    with _translated(name):
        module = get_model(rest, weights=None, **sized)
    return _random(module, published_image(rest), 3, options)


def _from_timm(name: str, rest: str, options: LoadOptions) -> Foreign:
    try:
        timm = importlib.import_module("timm")
    except ImportError:
        raise BackendMissingError(
            f"{name} needs the package 'timm'. Run: pip install timm"
        ) from None
    if not timm.is_model(rest):
        raise UnknownModelError(
            f"no model '{rest[:60]}' in timm; {_near(rest, timm.list_models())}"
        )
    sized = {"num_classes": options.classes} if options.classes else {}
    pretrained = options.weights in VERSIONS
    with _translated(name):
        module = timm.create_model(
            rest, pretrained=pretrained, in_chans=options.channels or 3, **sized
        )
        config = timm.data.resolve_model_data_config(module)
    side = config["input_size"][-1]
    image = ImageSpec(
        resize=int(side / config["crop_pct"]),
        crop=side,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        channels={1: "L", 3: "RGB"}.get(len(config["mean"]), "planes"),
    )
    made = _random(module, image, options.channels or 3, options)
    if pretrained:
        return replace(made, origin="imagenet", detail=f"timm, {rest}")
    return made


_LIBRARIES: dict[str, Callable[[str, str, LoadOptions], Foreign]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
}


def _from_factory(name: str, rest: str, options: LoadOptions) -> Foreign:
    path = name.partition(":")[0]
    if options.weights in VERSIONS:
        raise OptionError(f"{name}: given {options.weights} weights; expected a checkpoint file")
    with _translated(name), _current_folder_first():
        factory = getattr(importlib.import_module(path), rest, None)
        if not callable(factory):
            raise UnknownModelError(f"no callable '{rest[:60]}' in the module {path}")
        module = factory()
        if not isinstance(module, nn.Module):
            kind = type(module).__name__
            raise OptionError(f"{name} returned a {kind}; expected a torch.nn.Module")
        torch.default_generator.manual_seed(options.seed + 1)
        reads_them = _same_weights(module, factory())
    convolutions = (layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    first = next((layer.in_channels for layer in convolutions), 3)
    made = _random(module, find("resnet18").image, options.channels or first, options)
    if reads_them:
        return replace(made, origin="factory", detail="as the factory makes them")
    return made


def _same_weights(module: nn.Module, other: nn.Module) -> bool:
    """Return if both have the same, though they were made from other seeds."""
    pairs = zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(one, another) for one, another in pairs)


def _random(module: nn.Module, image: ImageSpec, channels: int, options: LoadOptions) -> Foreign:
    return Foreign(
        module=module,
        image=for_channels(image, channels),
        classes=0,
        channels=channels,
        origin="random",
        detail=f"as the model starts, seed {options.seed}",
    )


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (UnknownModelError, OptionError):
        raise
    except (Exception, SystemExit) as error:  # somebody else's code, which may raise anything
        raise OptionError(f"cannot make {name}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    reason = " ".join(str(error).split())[:200] or "without a message"
    return f"{type(error).__name__}: {reason}"


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)} others"


def _read_weights(module: nn.Module, path: Path, name: str, options: LoadOptions) -> None:
    """Load a state dict by the module's own names, whatever wrappers and prefixes it is in."""
    document, _ = read_document(path)
    found = unwrap(document, path, ema=options.ema).weights
    expected = module.state_dict()
    own = {bare(key): key for key in expected}
    weights = {own.get(key, key): value for key, value in found.items()}
    fitted = fit(weights, expected, f"file weights ({path.name})", name)
    # Not strict: what counts batches may be absent; the rest was compared.
    module.load_state_dict(fitted, strict=False)


def _check_finite(module: nn.Module, name: str) -> None:
    for key, value in module.state_dict().items():
        if not value.isfinite().all():
            raise CheckpointError(
                f"{name} holds NaN or infinity in '{key}'; expected weights of a sound training"
            )


def _count_classes(module: nn.Module, channels: int, side: int, name: str) -> int:
    image = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            logits: object = module(image)
            again: object = module(image)
    except Exception as error:  # somebody else's code, which may raise anything
        raise OptionError(
            f"{name} cannot take an image {channels}x{side}x{side}: {_reason(error)}; "
            "choose its size with --resize and --crop, and its channels with --channels"
        ) from None
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        kind = type(logits).__name__
        given = f"a tensor {list(logits.shape)}" if isinstance(logits, Tensor) else f"a {kind}"
        raise OptionError(f"{name} returns {given}; expected one tensor of logits [batch, classes]")
    assert isinstance(again, Tensor)
    if not torch.allclose(logits, again, rtol=1e-3, equal_nan=True):
        raise OptionError(
            f"{name} answers the same image in two ways; expected nothing random in eval mode, "
            "such as F.dropout(x) without training=self.training"
        )
    if logits.shape[1] > 1 and _are_probabilities(logits):
        raise OptionError(
            f"{name} returns probabilities; expected logits: leave the softmax at its end out, for "
            "all that runs a bundle takes it"
        )
    return logits.shape[1]


def _are_probabilities(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and torch.allclose(rows.sum(1), torch.ones(len(rows)), atol=1e-4)
