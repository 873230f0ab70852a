"""Turns a request for engines into orders: one for each engine, with all its options decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runtime.engines.options import TURING, EngineOptions
from runtime.engines.profile import Profile, check_profile, default_profiles, parse_profile
from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.manifest import Engine
from runtime.precision import PrecisionPromise
from runtime.variant import Variant

__all__ = ["EngineOrder", "EngineRequest", "decide_options", "order_engines"]

_SHORT = {"tensorrt": "trt", "tensorrt_rtx": "rtx"}


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """Which engines of a bundle are wanted.

    Raises:
        OptionError: if a target cannot be built for, or a profile is one of no model.
    """

    options: EngineOptions = field(default_factory=EngineOptions)
    """All but the profiles and the targets."""
    targets: tuple[str, ...] = ()
    """As EngineOptions.target_sms; of several, "sm75" gets an engine of its own."""
    profiles: tuple[str, ...] = ()
    """As `parse_profile` takes them; none stands for what suits the bundle."""
    variants: tuple[str, ...] = ()
    """Which of the bundle; none stands for all that TensorRT reads as they are meant."""

    def __post_init__(self) -> None:
        for profile in self.profiles:
            check_profile(profile)
        for targets in _split(self.targets):
            dataclasses.replace(self.options, target_sms=targets)


@dataclass(frozen=True, kw_only=True)
class EngineOrder:
    """One engine that is to be built."""

    name: str
    """In the manifest: "fp16-rtx"."""
    engine: Engine
    promise: PrecisionPromise
    options: EngineOptions


def order_engines(
    variants: Mapping[str, Variant], image: ImageSpec, request: EngineRequest, pixels: str = ""
) -> tuple[EngineOrder, ...]:
    """Return the engines that a request asks for, in the order of the bundle's variants.

    Args:
        variants: of the bundle.
        image: of the bundle.
        request: what is wanted.
        pixels: of the bundle.

    Raises:
        OptionError: if the bundle has no such variant, TensorRT reads none of them as it is meant,
            or the options cannot be had together.
    """
    orders = []
    for variant, promise in _readable(variants, request.variants):
        for options in decide_options(variants[variant].input.shape, image, request, pixels):
            name = _name(variant, options)
            engine = Engine(file=f"{name}.plan", variant=variant)
            orders.append(EngineOrder(name=name, engine=engine, promise=promise, options=options))
    return tuple(orders)


def decide_options(
    shape: Sequence[str], image: ImageSpec, request: EngineRequest, pixels: str = ""
) -> tuple[EngineOptions, ...]:
    """Return the options of each engine that a request makes of one graph.

    Args:
        shape: of the graph's input, each dimension a number, or the name of one that may vary.
        image: of the bundle.
        request: what is wanted.
        pixels: of the bundle.

    Raises:
        OptionError: if the graph does not take a profile, or the options cannot be had together.
    """
    profiles = _profiles(shape, image, request.profiles, pixels)
    return tuple(
        dataclasses.replace(request.options, profiles=profiles, target_sms=targets)
        for targets in _split(request.targets)
    )


def _readable(
    variants: Mapping[str, Variant], wanted: tuple[str, ...]
) -> Iterator[tuple[str, PrecisionPromise]]:
    readable = {
        name: variant.convolutions
        for name, variant in variants.items()
        if variant.convolutions is not None
    }
    if not readable:
        raise OptionError(
            "TensorRT reads no variant of this bundle as it is meant; export the model again"
        )
    for name in wanted or readable:
        if name not in variants:
            known = ", ".join(variants)
            raise OptionError(f"the bundle has no variant '{name}'; it has: {known}")
        if name not in readable:
            raise OptionError(
                f"TensorRT does not read the variant '{name}' as it is meant; it reads: "
                f"{', '.join(readable)}"
            )
        yield name, readable[name]


def _profiles(
    shape: Sequence[str], image: ImageSpec, texts: tuple[str, ...], pixels: str
) -> tuple[Profile, ...]:
    side, channels = image.crop, image.channel_count
    if not texts:
        return default_profiles(shape, side)
    profiles = tuple(parse_profile(text, channels, side, pixels or "NCHW") for text in texts)
    for profile in profiles:
        if not profile.fits([int(given) if given.isdigit() else None for given in shape]):
            raise OptionError(f"profile: given {profile}; the graph takes images {'x'.join(shape)}")
    return profiles


def _split(targets: tuple[str, ...]) -> list[tuple[str, ...]]:
    rest = tuple(target for target in targets if target != TURING)
    alone: list[tuple[str, ...]] = [(TURING,)] if TURING in targets else []
    return [*alone, rest] if rest or not alone else alone


def _name(variant: str, options: EngineOptions) -> str:
    name = f"{variant}-{_SHORT[options.flavour]}"
    if options.target_sms == (TURING,):
        name += f"-{TURING}"
    return name if options.dla_core is None else f"{name}-dla{options.dla_core}"
