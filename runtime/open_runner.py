"""Opens a bundle's model in the backend that the ending of its file calls for."""

from __future__ import annotations

import contextlib
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.onnx_files.check_self_contained import check_self_contained
from runtime.providers import PROVIDERS
from runtime.snapshot import Snapshot
from runtime.vnni import CPUINFO, PLACED_FOR_VNNI, saturation_note

if TYPE_CHECKING:
    from runtime.onnx_runner import OnnxRunner

__all__ = ["PLACED_FOR_TENSORRT", "Opener", "open_runner", "start_opening"]

PLACED_FOR_TENSORRT = "tensorrt"
"""The placement of int8 that TensorRT is to fuse, and ONNX Runtime's kernels to run as written."""


def open_runner(
    bundle: Bundle,
    variant: str = "fp32",
    provider: str = "cpu",
    *,
    allow_fallback: bool = False,
    threads: int = 0,
    cpuinfo: Path = CPUINFO,
) -> OnnxRunner:
    """Return a runner of one of the bundle's variants.

    Its notes tell of int8 that this processor may sum wrong.

    Args:
        bundle: where the model is.
        variant: a name in its manifest.
        provider: a name of `runtime.providers.PROVIDERS`.
        allow_fallback: accept a lesser provider; the runner's notes then say so.
        threads: how many a provider on the processor takes for one run; 0 leaves it to that.
        cpuinfo: what Linux tells of this processor.

    Raises:
        OptionError: if there is no such variant or provider.
        BundleError: if the model was altered, is missing, or keeps weights outside itself.
        BackendError: if no backend here can run it as asked.
    """
    with ThreadPoolExecutor(1) as pool:
        open_model = start_opening(bundle, variant, pool, cpuinfo)
        return open_model(provider, allow_fallback=allow_fallback, threads=threads)


def start_opening(bundle: Bundle, variant: str, pool: Executor, cpuinfo: Path = CPUINFO) -> Opener:
    """Copy a variant's model, hash it in the pool and import its backend meanwhile.

    Returns:
        What waits for the hash and then opens the model, as `open_runner` does.

    Raises:
        DeployError: as `open_runner`, where it shows as early.
    """
    contract = bundle.variant(variant)
    file = contract.file
    import_backend = _BACKENDS.get(PurePosixPath(file).suffix)
    if import_backend is None:
        known = ", ".join(_BACKENDS)
        raise BundleError(f"'{bundle.folder / file}' is no model; expected a file of {known}")
    take_snapshot = bundle.start_snapshot(file, pool)
    backend = import_backend()

    def finish(provider: str, *, allow_fallback: bool, threads: int = 0) -> OnnxRunner:
        try:
            with contextlib.closing(take_snapshot()) as model:
                check_self_contained(model.view())
                source = model.source
                if provider == "cpu" and contract.placement == PLACED_FOR_VNNI:
                    source = _arrange_for_this(model, cpuinfo)
                runner = backend.open(
                    source,
                    provider,
                    allow_fallback=allow_fallback,
                    threads=threads,
                    as_written=contract.placement == PLACED_FOR_TENSORRT,
                )
        except BundleError as error:
            raise BundleError(f"variant '{variant}': {error}") from None
        if _runs_full_range(contract.placement, runner.provider):
            note = saturation_note(variant, cpuinfo)
            runner.notes += (note,) if note else ()
        return runner

    return finish


class Opener(Protocol):
    """Opens a model that was copied, once its hash is known."""

    def __call__(self, provider: str, *, allow_fallback: bool, threads: int = 0) -> OnnxRunner:
        """Return the runner; raises what `open_runner` raises."""


def _runs_full_range(placement: str, provider: str) -> bool:
    """Return whether weights of full range are multiplied as integers, on this processor."""
    return placement == PLACED_FOR_VNNI or (
        placement == PLACED_FOR_TENSORRT and PROVIDERS[provider].fuses_int8
    )


def _arrange_for_this(model: Snapshot, cpuinfo: Path) -> Path | bytes:
    """Return the same int8 graph as this processor computes it fastest."""
    from runtime.amx import has_amx
    from runtime.onnx_files.arrange_for_amx import arrange_for_amx

    return arrange_for_amx(model.view()) if has_amx(cpuinfo) else model.source


def _import_onnx() -> type[OnnxRunner]:
    from runtime.onnx_runner import OnnxRunner

    return OnnxRunner


_BACKENDS = {".onnx": _import_onnx}
"""By file name ending: what imports the library and returns the runner of it."""
