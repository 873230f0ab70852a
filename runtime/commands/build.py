"""`python -m runtime build`: builds TensorRT engines on the machine that will run them."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.arguments import NAMES, Folder, Json, Quiet
from runtime.building.arguments import ENGINE_WORDS, EngineArguments, TimingCache
from runtime.command_line import split_words
from runtime.errors import OptionError
from runtime.terminal import Screen

__all__ = ["build"]

WORD_LISTS = {**ENGINE_WORDS, "--variant": NAMES}


def build(
    bundle: Folder,
    *,
    variant: Annotated[
        str, typer.Option(metavar="NAME...", help="Build of these only.", show_default=False)
    ] = "",
    engines: EngineArguments,
    timing_cache: TimingCache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build TensorRT engines into a bundle, where they will run.

    It looks first whether they can be built. Called again, it goes on where it stopped.
    """
    from runtime.building.build_engines import build_engines
    from runtime.building.orders import order_engines
    from runtime.building.preflight import look_around
    from runtime.building.show import raise_failures, show_engines
    from runtime.building.timing_cache import take_timings
    from runtime.bundle import Bundle

    screen = Screen(json=json, quiet=quiet)
    if timing_cache is not None and engines.rtx:
        raise OptionError("--timing-cache: given with --rtx, which keeps no timings; leave it out")
    variants = split_words(variant)
    request = engines.for_rtx(variants) if engines.rtx else engines.for_tensorrt(variants)
    loaded = Bundle.load(bundle)
    manifest = loaded.manifest
    orders = order_engines(manifest.variants, manifest.image, request, manifest.pixels)
    timings = take_timings(loaded, timing_cache)
    outcomes = build_engines(loaded, orders, look_around(), timings, screen)
    show_engines(outcomes, loaded, screen)
    raise_failures(outcomes, screen)
