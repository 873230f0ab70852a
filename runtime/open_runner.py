"""Opens a bundle's model in the backend that the ending of its file calls for."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.self_contained import check_self_contained

if TYPE_CHECKING:
    from runtime.onnx_runner import OnnxRunner

__all__ = ["open_runner"]


def open_runner(
    bundle: Bundle, variant: str = "fp32", provider: str = "cpu", *, allow_fallback: bool = False
) -> OnnxRunner:
    """Return a runner of one of the bundle's variants.

    Args:
        bundle: where the model is.
        variant: a name in its manifest.
        provider: "cpu", "cuda" or "tensorrt".
        allow_fallback: accept a lesser provider; the runner's notes then say so.

    Raises:
        OptionError: if there is no such variant or provider.
        BundleError: if the model was altered, is missing, or keeps weights outside itself.
        BackendError: if no backend here can run it as asked.
    """
    file = bundle.variant(variant).file
    backend = _BACKENDS.get(PurePosixPath(file).suffix)
    if backend is None:
        known = ", ".join(_BACKENDS)
        raise BundleError(f"'{bundle.folder / file}' is no model; expected a file of {known}")
    try:
        return backend(bundle.read(file), provider, allow_fallback)
    except BundleError as error:
        raise BundleError(f"variant '{variant}': {error}") from None


def _open_onnx(model: bytes, provider: str, allow_fallback: bool) -> OnnxRunner:  # noqa: FBT001 (passed on)
    from runtime.onnx_runner import OnnxRunner

    check_self_contained(model)
    return OnnxRunner.open(model, provider, allow_fallback=allow_fallback)


_BACKENDS = {".onnx": _open_onnx}
"""By file name ending. Each imports its library only when called."""
