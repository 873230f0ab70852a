"""`python -m runtime build`: builds TensorRT engines on the machine that will run them."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.arguments import Folder, Json, Quiet
from runtime.building.arguments import (
    GPU_TARGETS,
    Dla,
    HardwareCompatible,
    Level,
    Profiles,
    Refit,
    Rtx,
    Strip,
    Tf32,
    TimingCache,
    VersionCompatible,
    Workspace,
    split_targets,
)
from runtime.terminal import Screen

__all__ = ["build"]

WORD_LISTS = {"--rtx": GPU_TARGETS}


def build(
    bundle: Folder,
    rtx: Rtx = "",
    variant: Annotated[
        list[str],
        typer.Option(help="Build of this one only; may be repeated.", show_default=False),
    ] = [],  # noqa: B006 (Typer makes a new one)
    profile: Profiles = [],  # noqa: B006
    workspace: Workspace = None,
    level: Level = 3,
    tf32: Tf32 = False,
    hardware_compatible: HardwareCompatible = "none",
    version_compatible: VersionCompatible = False,
    strip: Strip = False,
    refit: Refit = False,
    dla: Dla = None,
    timing_cache: TimingCache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build TensorRT engines into a bundle, on the machine that will run them.

    It looks first whether they can be built. Called again, it goes on where it stopped.
    """
    from runtime.building.build_engines import build_engines
    from runtime.building.orders import EngineRequest, order_engines
    from runtime.building.preflight import look_around
    from runtime.building.show import raise_failures, show_engines
    from runtime.building.timing_cache import take_timings
    from runtime.bundle import Bundle
    from runtime.engines.options import EngineOptions

    screen = Screen(json=json, quiet=quiet)
    loaded = Bundle.load(bundle)
    request = EngineRequest(
        options=EngineOptions(
            flavour="tensorrt_rtx" if rtx else "tensorrt",
            workspace_mib=workspace,
            optimization_level=level,
            tf32=tf32,
            hardware_compatibility=hardware_compatible,
            version_compatible=version_compatible,
            refit=refit,
            strip_weights=strip,
            dla_core=dla,
        ),
        targets=split_targets(rtx) if rtx else (),
        profiles=tuple(profile),
        variants=tuple(variant),
    )
    orders = order_engines(
        loaded.manifest.variants, loaded.manifest.image, request, loaded.manifest.pixels
    )
    timings = take_timings(loaded, timing_cache)
    outcomes = build_engines(loaded, orders, look_around(), timings, screen)
    show_engines(outcomes, loaded, screen)
    raise_failures(outcomes, screen)
