"""Loads models that are not of the catalogue: a library's, or those of a factory of your own.

    torchvision:NAME       preprocessing of the library's first published weights
    timm:NAME              preprocessing of the library's data config
    module.path:factory    a callable without arguments that returns an nn.Module; preprocessing is
                           ImageNet's unless it is said. Found as Python finds modules, the current
                           folder first.

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

from export.models.catalogue import find
from export.models.channels import for_channels
from export.models.fit import fit
from export.models.imagenet import VERSIONS, find_imagenet, published_image
from export.weights.read_document import read_document
from export.weights.unwrap import bare, unwrap
from runtime.errors import BackendMissingError, OptionError, UnknownModelError
from runtime.image_spec import ImageSpec

__all__ = ["Foreign", "Wish", "load_foreign"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked of a foreign model; None and "" leave it as it comes."""

    weights: str
    classes: int | None
    channels: int | None
    seed: int
    ema: bool


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A foreign model, as it came."""

    module: nn.Module
    """In eval mode, float32, on the CPU."""
    image: ImageSpec
    classes: int
    channels: int
    origin: str
    """"random", "imagenet" or "file"."""
    detail: str
    labels: tuple[str, ...] = ()


def load_foreign(name: str, wish: Wish) -> Foreign:
    """Return the model with its weights and preprocessing.

    Args:
        name: as above; it has a colon.
        wish: what is asked of it.

    Raises:
        UnknownModelError: if the library or the module has none of that name.
        OptionError: if it cannot be made as asked for, or is no classifier of images.
        BackendMissingError: if the library is not installed.
        CheckpointError: if the weights cannot be read or are not the model's.
    """
    library, _, rest = name.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(wish.seed)
        made = _LIBRARIES.get(library, _from_factory)(name, rest, wish)
    module = made.module.float().cpu().eval().requires_grad_(requires_grad=False)
    if made.origin == "random" and wish.weights not in ("", "random"):
        _read_weights(module, Path(wish.weights), name, wish)
        made = replace(made, origin="file", detail=Path(wish.weights).name)
    classes = _count_classes(module, made, name)
    return replace(made, module=module, classes=classes)


def _from_torchvision(name: str, rest: str, wish: Wish) -> Foreign:
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
    if wish.channels not in (None, 3):
        raise OptionError(
            f"{name}: given {wish.channels} channels; torchvision's models have 3; take a name of "
            "--list, which has any number"
        )
    if wish.weights in VERSIONS:
        found = find_imagenet(rest, wish.weights)
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
    sized = {"num_classes": wish.classes} if wish.classes else {}
    with _translated(name):
        module = get_model(rest, weights=None, **sized)
    return _random(module, published_image(rest), 3, wish)


def _from_timm(name: str, rest: str, wish: Wish) -> Foreign:
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
    sized = {"num_classes": wish.classes} if wish.classes else {}
    pretrained = wish.weights in VERSIONS
    with _translated(name):
        module = timm.create_model(
            rest, pretrained=pretrained, in_chans=wish.channels or 3, **sized
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
    made = _random(module, image, wish.channels or 3, wish)
    if pretrained:
        return replace(made, origin="imagenet", detail=f"timm, {rest}")
    return made


_LIBRARIES: dict[str, Callable[[str, str, Wish], Foreign]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
}


def _from_factory(name: str, rest: str, wish: Wish) -> Foreign:
    path = name.partition(":")[0]
    if wish.weights in VERSIONS:
        raise OptionError(f"{name}: given {wish.weights} weights; expected a checkpoint file")
    with _translated(name), _current_folder_first():
        factory = getattr(importlib.import_module(path), rest, None)
        if not callable(factory):
            raise UnknownModelError(f"no callable '{rest[:60]}' in the module {path}")
        module = factory()
    if not isinstance(module, nn.Module):
        raise OptionError(f"{name} returned a {type(module).__name__}; expected a torch.nn.Module")
    convolutions = (layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    first = next((layer.in_channels for layer in convolutions), 3)
    return _random(module, find("resnet18").image, wish.channels or first, wish)


def _random(module: nn.Module, image: ImageSpec, channels: int, wish: Wish) -> Foreign:
    return Foreign(
        module=module,
        image=for_channels(image, channels),
        classes=0,
        channels=channels,
        origin="random",
        detail=f"as the model starts, seed {wish.seed}",
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
    except Exception as error:  # somebody else's code, which may raise anything
        reason = " ".join(str(error).split())[:200] or "without a message"
        raise OptionError(f"cannot make {name}: {type(error).__name__}: {reason}") from None


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)} others"


def _read_weights(module: nn.Module, path: Path, name: str, wish: Wish) -> None:
    """Load a state dict by the module's own names, whatever wrappers and prefixes it is in."""
    document, _ = read_document(path)
    found = unwrap(document, path, ema=wish.ema).weights
    expected = module.state_dict()
    own = {bare(key): key for key in expected}
    weights = {own.get(key, key): value for key, value in found.items()}
    fitted = fit(weights, expected, f"file weights ({path.name})", name)
    # Not strict: what counts batches may be absent; the rest was compared.
    module.load_state_dict(fitted, strict=False)


def _count_classes(module: nn.Module, made: Foreign, name: str) -> int:
    side = made.image.crop
    with _translated(name), torch.inference_mode():
        logits: object = module(torch.zeros(1, made.channels, side, side))
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        given = f"a tensor {list(logits.shape)}" if isinstance(logits, Tensor) else type(logits)
        raise OptionError(f"{name} returns {given}; expected one tensor of logits [batch, classes]")
    return logits.shape[1]
