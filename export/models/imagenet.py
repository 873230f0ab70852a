"""Finds the published ImageNet weights of torchvision, with their preprocessing and labels."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import torch.hub

from runtime.errors import BackendMissingError, CheckpointError
from runtime.image_spec import ImageSpec

if TYPE_CHECKING:
    from torchvision.models import Weights

__all__ = ["VERSIONS", "ImageNetWeights", "find_imagenet", "locate", "published_image"]

VERSIONS = {"imagenet": "IMAGENET1K_V1", "imagenet-v2": "IMAGENET1K_V2"}
"""The words for a person, and torchvision's names. The first are the classical weights, of which
the catalogue tells the accuracy; the second were trained by a later recipe."""


@dataclass(frozen=True, kw_only=True)
class ImageNetWeights:
    """A published set of weights, on this machine."""

    path: Path
    detail: str
    """The name of the weights enum and of the file."""
    image: ImageSpec
    labels: tuple[str, ...]


def find_imagenet(name: str, version: str) -> ImageNetWeights:
    """Return the weights of the named model, downloaded if they are not on this machine.

    Args:
        name: of the model, as torchvision and the catalogue have it.
        version: one of VERSIONS.

    Raises:
        CheckpointError: if torchvision publishes none, or they are neither here nor to be had, or
            are damaged. The message names the file and where to put it.
        BackendMissingError: if torchvision is not installed.
    """
    try:
        from torchvision.models import get_model_weights
    except ImportError:
        raise BackendMissingError(
            "ImageNet weights need the package 'torchvision'. "
            "Run: pip install 'resnet-deploy[export]'"
        ) from None
    try:
        published = get_model_weights(name)
    except ValueError:
        published = ()
    known = [word for word, enum in VERSIONS.items() if enum in [w.name for w in published]]
    if version not in known:
        raise CheckpointError(
            f"torchvision publishes no '{version}' weights for {name}; "
            f"expected {' or '.join([*known, 'random', 'a checkpoint file'])}"
        )
    weights = published[VERSIONS[version]]
    return locate(weights.value, str(weights), Path(torch.hub.get_dir()) / "checkpoints")


def locate(weights: Weights, title: str, folder: Path) -> ImageNetWeights:
    """Return published weights whose file is in the folder, or is downloaded into it.

    Raises:
        CheckpointError: if the file is not to be had, or is not what its name says.
    """
    file = PurePosixPath(urlparse(weights.url).path).name
    path = folder / file
    # torchvision's convention: resnet18-f37072fd.pth, the start of the content's SHA-256.
    prefix = Path(file).stem.rpartition("-")[2]
    if not path.exists():
        _download(weights.url, path, prefix)
    elif not hashlib.sha256(path.read_bytes()).hexdigest().startswith(prefix):
        raise CheckpointError(
            f"'{path}' is damaged: its SHA-256 does not begin with {prefix}; "
            "remove it, and it is downloaded again"
        )
    return ImageNetWeights(
        path=path,
        detail=f"{title}, {file}",
        image=_image(weights),
        labels=tuple(weights.meta["categories"]),
    )


def published_image(name: str) -> ImageSpec:
    """Return the preprocessing of torchvision's first weights of the named model.

    Raises:
        OptionError: if it is one that no ImageSpec describes.
    """
    from torchvision.models import get_model_weights

    return _image(next(iter(get_model_weights(name))).value)


def _image(weights: Weights) -> ImageSpec:
    transforms = weights.transforms()
    return ImageSpec(
        resize=transforms.resize_size[0],
        crop=transforms.crop_size[0],
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        interpolation=transforms.interpolation.value,
    )


def _download(url: str, path: Path, prefix: str) -> None:
    try:
        os.makedirs(path.parent, exist_ok=True)
        # Writes beside the destination, checks the hash, then renames.
        torch.hub.download_url_to_file(
            url, str(path), hash_prefix=prefix, progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: the hash is wrong
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise CheckpointError(
            f"the weights {path.name} are not on this machine and could not be downloaded "
            f"({str(reason)[:100]}); fetch {url} elsewhere and put it into '{path.parent}'"
        ) from None
