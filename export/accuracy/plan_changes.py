"""How an image may be seen: the bundle's own preprocessing, and what it may have been meant to be.

Every change stands alone, beside all the rest as it is:

    channel order      BGR for RGB and back; black for white in grey images; Caffe's way
    normalisation      none, ImageNet's, 0.5, the images' own, applied twice, in units of 0..255
    geometry           the usual shares of the crop, none of it, all of the image, other sizes
    interpolation      the other one

Two ways of scaling that give the same numbers are tried once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from export.accuracy.view import View
from runtime.errors import OptionError
from runtime.image_spec import INTERPOLATIONS

__all__ = ["Change", "Statistics", "plan_changes"]

CROPS = {
    1.0: "the crop's own size",
    0.875: "as torchvision's first weights (256 to 224)",
    0.965: "as torchvision's second weights (232 to 224)",
    0.95: "as timm's usual weights",
}
"""Share of the shorter side that is kept, and who keeps so much."""

IMAGENET_MEAN: tuple[float, ...] = (0.485, 0.456, 0.406)
IMAGENET_STD: tuple[float, ...] = (0.229, 0.224, 0.225)

SIZES = (0.5, 0.75, 4 / 3, 2.0)
"""Shares of the size, resize and crop alike."""
_LARGEST_SIDE = 512
_SMALLEST_SIDE = 8

_ORDER = "channel order"
_DOUBLE = "double normalisation"
_CROP = "wrong crop"

_FLIPPED = {"RGB": "BGR", "BGR": "RGB"}


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What the images' own values are, 0 to 1, one number for each channel in the order RGB."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing done otherwise."""

    kind: str
    """What is wrong with the view if this helps, in the field's terms."""
    name: str
    view: View
    cure: str
    """What to do if this is what the model wants."""
    measured: bool = False
    """Its numbers come from these very images; another change that is as good goes before it."""


def plan_changes(view: View, own: Statistics, *, fixed_size: bool) -> list[Change]:
    """Return the changes of a view that are worth a try, each different from it and the others.

    Args:
        view: what is to be changed.
        own: of the images.
        fixed_size: the model takes images of the view's size only.
    """
    planned: list[Change] = []
    seen = {_effect(view)}
    for change in (
        *_orders(view),
        *_scalings(view, own),
        *_geometries(view, fixed_size=fixed_size),
        *_interpolations(view),
    ):
        if _effect(change.view) not in seen:
            seen.add(_effect(change.view))
            planned.append(change)
    return planned


def _effect(view: View) -> tuple[object, ...]:
    """Return what is equal for views that show the same numbers."""
    spec = view.spec
    low, high = spec.value_range
    scale = tuple(
        (round((high - low) / s, 4), round((low - m) / s, 4))
        for m, s in zip(spec.mean, spec.std, strict=True)
    )
    return (view.geometry, spec.channels, scale, view.inverted)


def _orders(view: View) -> Iterator[Change]:
    spec = view.spec
    if spec.channels == "L":
        name = "grey as it is, not inverted" if view.inverted else "black for white"
        cure = "invert the images, or train and export on images like these"
        inverted = replace(view, inverted=not view.inverted)
        yield Change(kind="black for white", name=name, view=inverted, cure=cure)
        return
    flipped = _FLIPPED[spec.channels]
    yield Change(
        kind=_ORDER,
        name=f"channel order {flipped}",
        view=replace(view, spec=replace(spec, channels=flipped)),
        cure=f'let the weights\' preprocessing say channels "{flipped}", and export again',
    )
    other = "mean and std in the other channel order"
    yield replace(_scaling(view, other, spec.mean[::-1], spec.std[::-1]), kind=_ORDER)
    caffe = replace(
        spec,
        channels="BGR",
        mean=tuple(255 * m for m in IMAGENET_MEAN[::-1]),
        std=(1.0, 1.0, 1.0),
        value_range=(0.0, 255.0),
    )
    yield Change(
        kind=_ORDER,
        name="Caffe's way: BGR, 0..255 less ImageNet's mean",
        view=replace(view, spec=caffe),
        cure="let the weights' preprocessing say channels \"BGR\" and Caffe's mean; export again",
    )


def _scalings(view: View, own: Statistics) -> Iterator[Change]:
    spec = view.spec
    count, (low, high) = spec.channel_count, spec.value_range
    # In units of 0..1, whatever the spec's: what `--mean` and `--std` are given in.
    mean = tuple((m - low) / (high - low) for m in spec.mean)
    std = tuple(s / (high - low) for s in spec.std)
    ordered = slice(None, None, -1 if spec.channels == "BGR" else 1)
    published = (IMAGENET_MEAN[ordered], IMAGENET_STD[ordered])
    if count == 1:
        published = (sum(IMAGENET_MEAN) / 3,), (sum(IMAGENET_STD) / 3,)
    zero, one = (0.0,) * count, (1.0,) * count
    yield _scaling(view, "values 0..1 before the same mean and std", spec.mean, spec.std)
    yield _scaling(view, "values 0..1, not normalised", zero, one)
    yield _scaling(view, "values -1..1", (0.5,) * count, (0.5,) * count)
    yield _scaling(view, "values 0..255, not normalised", zero, (1 / 255,) * count)
    yield _scaling(view, "ImageNet's mean and std", published[0], published[1])
    measured = _scaling(view, "the images' own mean and std", own.mean[ordered], own.std[ordered])
    yield replace(measured, measured=True)
    again = tuple(m + m * s for m, s in zip(mean, std, strict=True))
    twice = _scaling(view, "normalised twice", again, tuple(s * s for s in std))
    yield replace(twice, kind=_DOUBLE)
    yield _scaling(
        view,
        "mean and std meant for 0..255",
        tuple(m / 255 for m in mean),
        tuple(s / 255 for s in std),
    )


def _scaling(view: View, name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> Change:
    spec = replace(view.spec, mean=mean, std=std, value_range=(0.0, 1.0))
    kind = _DOUBLE if not any(mean) else "wrong normalisation"
    if not any(view.spec.mean):
        kind = "missing normalisation"
    cure = f"export again with --mean {_numbers(mean)} --std {_numbers(std)}, or the training's own"
    return Change(kind=kind, name=name, view=replace(view, spec=spec), cure=cure)


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.4g}" for value in values)


def _geometries(view: View, *, fixed_size: bool) -> Iterator[Change]:
    spec = view.spec
    for share, whose in CROPS.items():
        resize = round(spec.crop / share)
        yield _geometry(view, f"resize {resize}, {whose}", resize, spec.crop)
    yield Change(
        kind=_CROP,
        name="the whole image, squashed to a square",
        view=replace(view, squashed=not view.squashed),
        cure="make the images square before, as the training did",
    )
    for factor in () if fixed_size else SIZES:
        resize, crop = round(spec.resize * factor), round(spec.crop * factor)
        if crop >= _SMALLEST_SIDE and max(resize, crop) <= _LARGEST_SIDE:
            yield _geometry(view, f"resize {resize}, crop {crop}", resize, crop)


def _geometry(view: View, name: str, resize: int, crop: int) -> Change:
    try:
        spec = replace(view.spec, resize=resize, crop=crop)
    except OptionError:  # beyond what any image is
        spec = view.spec
    return Change(
        kind=_CROP,
        name=name,
        view=replace(view, spec=spec, squashed=False),
        cure=f"export again with --resize {resize} --crop {crop}",
    )


def _interpolations(view: View) -> Iterator[Change]:
    for other in INTERPOLATIONS:
        yield Change(
            kind="wrong interpolation",
            name=f"interpolation {other}",
            view=replace(view, spec=replace(view.spec, interpolation=other)),
            cure=f"export again with --interpolation {other}",
        )
