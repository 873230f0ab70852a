"""Measures how far a variant's tensors are from PyTorch's, along the depth of the network.

Of every place the sums of a channel suffice, so a batch is forgotten when it is counted:

    signal = sum reference^2      noise = sum (variant - reference)^2     SQNR = signal / noise

The reference is the module in float64; what float32 PyTorch makes of the same images is the noise
floor. A channel's error is judged against the floor of that channel, but never one below what
is usual among the tensor's channels.

A graph whose channels were equalized holds in channel c the reference times a factor f[c], which
the next layer takes back. For such a graph the noise of a channel is what remains after the best
fit, min over f of sum (reference - variant / f)^2. A fault that does nothing but scale a channel
then shows at the layer that reads it.

The variant runs as its graph is written, every QuantizeLinear and Cast of it, in float arithmetic
between them: a tensor that is looked at cannot be fused into another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from calibration.probe import Probe
from export.divergence.listen import Listener
from export.divergence.places import Place
from export.divergence.show_images import Shown

__all__ = ["CLOSEST_DB", "Depth", "decibel", "measure_depth"]

CLOSEST_DB = 300.0
"""Stands for equality, which has no decibel: float64 itself rounds at 310."""
FARTHEST_DB = -100.0
"""Stands for NaN and infinity."""

_FLOOR = float(np.finfo(np.float32).eps) / 2
"""Share of a channel's size below which no float32 tensor can follow the reference."""
_TINY = 1e-200

_Sums = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How far a variant is from PyTorch at one place."""

    place: Place
    sqnr_db: float
    """10 log10(signal / noise); CLOSEST_DB where equal, FARTHEST_DB where not finite."""
    float32_sqnr_db: float
    """That of PyTorch in float32."""
    noise_ratio: float
    """Of the worst channel: its error as a multiple of float32 PyTorch's own, as root mean
    squares."""
    worst_channel: int
    """Which that is."""
    standing_out: float
    """How many times the median channel's that is. Rounding, be it of integers, meets a tensor's
    channels alike."""
    scaled: bool
    """The factors of equalized channels were taken out."""


@dataclass
class _Tally:
    """The sums of a place, [channels] each."""

    signal: _Sums | float = 0.0
    noise: _Sums | float = 0.0
    floor: _Sums | float = 0.0
    cross: _Sums | float = 0.0
    power: _Sums | float = 0.0
    finite: bool = True
    single: bool = False
    """An image has one value a channel, as behind the pool."""


def measure_depth(
    module: nn.Module,
    sources: dict[str, str],
    probe: Probe,
    places: Sequence[Place],
    shown: Iterable[Shown],
    *,
    equalized: bool,
) -> tuple[Depth, ...]:
    """Return how far the graph is from the module at the places, in their order.

    A place whose tensors differ in shape is left out: it is not the same tensor after all.

    Args:
        module: the reference, in eval mode, float32.
        sources: for the name of each place the submodule whose output is its reference.
        probe: the variant, with the tensors of the places tapped.
        places: where to look.
        shown: the batches; read once.
        equalized: whether channels are scaled, by factors that are to be taken out.
    """
    tallies = {place.module: _Tally() for place in places}
    heard = {place.module: sources[place.module] for place in places}
    with (
        Listener(module, heard, torch.float64) as reference,
        Listener(module, heard, torch.float32) as baseline,
    ):
        for batch in shown:
            expected, rounded = reference.run(batch.images), baseline.run(batch.images)
            actual = probe.run(batch.fed)
            for place in places:
                name = place.module
                given = actual[place.tensor].astype(np.float64)
                if name not in expected or expected[name].shape != given.shape:
                    tallies.pop(name, None)
                elif name in tallies:
                    _count(tallies[name], expected[name], rounded[name], given)
    return tuple(
        _judge(place, tallies[place.module], equalized=equalized)
        for place in places
        if place.module in tallies
    )


def _count(tally: _Tally, expected: _Sums, rounded: _Sums, given: _Sums) -> None:
    axes = (0, *range(2, expected.ndim))
    tally.single = expected[0].size == expected.shape[1]
    tally.finite &= bool(np.isfinite(given).all())
    if not tally.finite:
        return
    tally.signal += np.square(expected).sum(axis=axes)
    tally.noise += np.square(given - expected).sum(axis=axes)
    tally.floor += np.square(rounded - expected).sum(axis=axes)
    tally.cross += (given * expected).sum(axis=axes)
    tally.power += np.square(given).sum(axis=axes)


def _judge(place: Place, tally: _Tally, *, equalized: bool) -> Depth:
    signal, noise, floor = (np.atleast_1d(x) for x in (tally.signal, tally.noise, tally.floor))
    scaled = equalized and not place.is_output
    if scaled:
        share = np.square(tally.cross) / np.maximum(signal * tally.power, _TINY)
        noise = signal * np.clip(1 - share, 0, 1)
    # Float32 rounds a channel well by accident, one of a single value an image all the more so.
    usual = np.mean(floor) if tally.single else np.median(floor)
    floor = np.maximum(floor, usual)
    floor = np.maximum(floor, _FLOOR**2 * max(float(signal.mean()), _TINY))
    ratios = np.sqrt(noise / floor)
    return Depth(
        place=place,
        sqnr_db=decibel(float(signal.sum()), float(noise.sum())) if tally.finite else FARTHEST_DB,
        float32_sqnr_db=decibel(float(signal.sum()), float(np.sum(tally.floor))),
        noise_ratio=float(ratios.max()) if tally.finite else 1 / _FLOOR,
        worst_channel=int(ratios.argmax()),
        standing_out=float(ratios.max() / max(float(np.median(ratios)), _TINY)),
        scaled=scaled,
    )


def decibel(signal: float, noise: float) -> float:
    """Return their ratio in decibel, within CLOSEST_DB and FARTHEST_DB."""
    if not math.isfinite(noise):
        return FARTHEST_DB
    ratio = max(signal, _TINY) / max(noise, _TINY)
    return min(max(10 * math.log10(ratio), FARTHEST_DB), CLOSEST_DB)
