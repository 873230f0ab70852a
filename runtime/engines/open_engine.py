"""Opens a bundle's engine in TensorRT, with nothing but what the manifest vouches for.

TensorRT-RTX keeps what it compiled for a GPU: for an engine of a bundle not beside it, because a
bundle stays as it was published, but in the user's own cache, by the hash of the plan. A bundle
that brings such a file along brings a program that nobody vouched for, and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.bundle import Bundle
from runtime.cache_folder import cache_folder
from runtime.engines.engine import EngineInfo, check_plan
from runtime.errors import BundleError, OptionError
from runtime.manifest import Engine
from runtime.schema import from_json

if TYPE_CHECKING:
    from runtime.tensorrt_runner import TensorRtRunner

__all__ = ["find_engine", "open_engine", "read_bundled_engine", "read_info"]

COMPILED = ".compiled"
"""The ending of what TensorRT-RTX keeps beside a loose engine."""


def find_engine(bundle: Bundle, name: str) -> Engine:
    """Return the bundle's engine of that name.

    Raises:
        OptionError: if it has none.
    """
    try:
        return bundle.manifest.engines[name]
    except KeyError:
        known = ", ".join(bundle.manifest.engines) or "none"
        raise OptionError(
            f"'{bundle.folder}' has no engine '{name}'; it has: {known}. "
            f"Build them: python -m runtime build {bundle.folder}"
        ) from None


def read_info(bundle: Bundle, engine: Engine) -> EngineInfo:
    """Return the description of one of the bundle's engines.

    Raises:
        BundleError: if it was altered.
    """
    return from_json(EngineInfo, bundle.read(engine.info_file), engine.info_file)


def read_bundled_engine(bundle: Bundle, engine: Engine) -> tuple[bytes, EngineInfo]:
    """Return a plan and its description, which agree with the manifest, the graph and each other.

    Raises:
        BundleError: if either was altered, or the plan was built from another graph.
        EngineError: if the plan is not the one described.
    """
    if engine.file + COMPILED in bundle.unlisted():
        raise BundleError(
            f"'{bundle.folder / engine.file}{COMPILED}' is a program that the manifest does not "
            "vouch for; remove it, or do not use this bundle"
        )
    plan, info = bundle.read(engine.file), read_info(bundle, engine)
    check_plan(plan, info, bundle.folder / engine.file)
    graph = bundle.manifest.variants[engine.variant].file
    if info.onnx_sha256 != bundle.manifest.files[graph].sha256:
        raise BundleError(
            f"'{bundle.folder / engine.file}' was built from another graph than '{graph}'; build "
            f"it again: python -m runtime build {bundle.folder}"
        )
    return plan, info


def open_engine(bundle: Bundle, name: str) -> TensorRtRunner:
    """Return a runner of one of the bundle's engines; it has to be closed.

    Raises:
        OptionError: if there is no such engine.
        BundleError: if it, or what belongs to it, was altered.
        BackendError: if it cannot run here: another version, another GPU, no GPU at all.
    """
    engine = find_engine(bundle, name)
    plan, info = read_bundled_engine(bundle, engine)
    from runtime.tensorrt_runner import TensorRtRunner

    graph = bundle.manifest.variants[engine.variant].file
    onnx = bundle.read(graph) if info.options.strip_weights else None
    compiled = cache_folder("compiled") / info.plan.sha256
    return TensorRtRunner.open(plan, info, bundle.folder / engine.file, onnx, compiled)
