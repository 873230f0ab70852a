"""Keeps the timings of kernels between builds, one file a TensorRT version and GPU.

A build measures hundreds of kernels; with the timings of an earlier one it takes a fraction of the
time and chooses the same kernels again. TensorRT-RTX has no use for them: it measures nothing, and
merely asking it for a cache makes it look for a GPU.

A timing cache holds compiled kernels: read one only from where engines may be read from.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runtime.bundle import Bundle
from runtime.cache_folder import cache_folder
from runtime.cuda.gpu import Gpu
from runtime.engines.tensorrt_module import TensorRt
from runtime.locking import locked, replace

if TYPE_CHECKING:
    import tensorrt

__all__ = ["TIMINGS", "add_timings", "take_timings", "timing_cache_file", "use_timings"]

TIMINGS = "timing.*.cache"
"""The names of the files, in their folder and in a bundle that brings some along."""

_log = logging.getLogger(__name__)


def timing_cache_file(folder: Path, library: TensorRt, gpu: Gpu) -> Path:
    """Return where the timings of that version on that GPU are kept in the folder."""
    card = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    return folder / f"timing.{library.version}.{gpu.sm}.{card}.cache"


def use_timings(path: Path, config: tensorrt.IBuilderConfig) -> None:
    """Give a build the timings in the file, or none if there is no file that fits."""
    known = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        _log.warning("the timing cache '%s' does not fit this TensorRT; it is begun anew", path)
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def add_timings(path: Path, config: tensorrt.IBuilderConfig) -> None:
    """Add the timings of a finished build to the file, and to what others added meanwhile.

    Raises:
        OSError: if it cannot be written.
    """
    cache = config.get_timing_cache()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        if path.is_file():
            others = config.create_timing_cache(path.read_bytes())
            if others is not None:
                cache.combine(others, ignore_mismatch=False)
        replace(path, bytes(memoryview(cache.serialize())))


def take_timings(bundle: Bundle, folder: Path | None) -> Path:
    """Return the folder for timings, with those that the bundle brings along.

    Args:
        bundle: its manifest vouches for the timings it brings.
        folder: where they are kept; the user's own cache if not given.

    Raises:
        BundleError: if they were altered.
        BackendError: if the cache cannot be used.
    """
    folder = folder or cache_folder("timings")
    for path in bundle.manifest.files:
        if PurePosixPath(path).match(TIMINGS) and not (folder / path).exists():
            folder.mkdir(parents=True, exist_ok=True)
            replace(folder / path, bundle.read(path))
    return folder
