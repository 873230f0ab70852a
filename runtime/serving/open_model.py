"""Opens a version of a model, and lets it prove itself before anyone is answered by it.

A version is a variant or an engine of a bundle, by its name. Its bytes are the ones the manifest
vouches for: they are copied, hashed and loaded once, and whatever becomes of the files later, they
are what is served. It is ready when it has answered the bundle's golden inputs as PyTorch did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runtime.bundle import Bundle
from runtime.errors import OptionError, VerdictError
from runtime.feed import fill_batch, fixed_batch
from runtime.providers import check_provider
from runtime.runner import Images, Logits, join_outputs
from runtime.serving.batcher import Outputs, Run
from runtime.serving.contract import Contract
from runtime.serving.options import BatchOptions, Limits
from runtime.serving.tensors import tensor_of
from runtime.variant import Variant
from runtime.verification.read_golden import read_golden

__all__ = ["Backend", "OpenModel", "open_model"]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where a model runs.

    Raises:
        OptionError: if there is no such provider.
    """

    provider: str = "cpu"
    allow_fallback: bool = False
    threads: int = 0
    """Of one batch on the processor; 0 leaves it to the provider."""

    def __post_init__(self) -> None:
        check_provider(self.provider)


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A version of a model that is proven and ready to run."""

    bundle: Bundle
    variant: Variant
    contract: Contract
    run: Run
    runner: str
    """What runs it: "onnxruntime cpu"."""
    notes: tuple[str, ...]
    close: Callable[[], None]


def open_model(
    bundle: Bundle, model: str, version: str, backend: Backend, batch: BatchOptions, limits: Limits
) -> OpenModel:
    """Return a version of a bundle's model, opened and proven.

    Args:
        bundle: where it is.
        model: the name it is served under.
        version: the name of one of its variants or engines.
        backend: where it is to run; an engine runs in TensorRT.
        batch: the largest batch it will be asked for.
        limits: of requests.

    Raises:
        OptionError: if there is no such version.
        BundleError: if a file of it was altered.
        BackendError: if it cannot run here as asked.
        VerdictError: if it does not give PyTorch's answers.
    """
    manifest = bundle.manifest
    is_engine = version in manifest.engines
    variant = bundle.variant(manifest.engines[version].variant if is_engine else version)
    opened = (_open_engine if is_engine else _open_variant)(bundle, version, backend)
    contract = Contract(
        model=model,
        version=version,
        platform="tensorrt_plan" if is_engine else "onnxruntime_onnx",
        input=tensor_of(variant.input),
        outputs=tuple(tensor_of(output) for output in variant.outputs),
        labels=manifest.labels,
        channels=manifest.image.channel_count,
        largest_batch=batch.largest,
        largest_pixels=limits.pixels,
    )
    run = _in_one_batch_size(opened.run, variant)
    try:
        _prove(bundle, variant, run, opened, batch.largest)
    except BaseException:
        opened.close()
        raise
    return OpenModel(
        bundle=bundle,
        variant=variant,
        contract=contract,
        run=run,
        runner=opened.name,
        notes=opened.notes,
        close=opened.close,
    )


@dataclass(frozen=True)
class _Opened:
    run: Run
    name: str
    notes: tuple[str, ...]
    close: Callable[[], None]
    accepts: Callable[[tuple[int, ...]], bool] = lambda shape: True


def _open_variant(bundle: Bundle, version: str, backend: Backend) -> _Opened:
    from runtime.open_runner import open_runner

    runner = open_runner(
        bundle,
        version,
        backend.provider,
        allow_fallback=backend.allow_fallback,
        threads=backend.threads,
    )
    return _Opened(runner.outputs, runner.name, runner.notes, lambda: None)


def _open_engine(bundle: Bundle, version: str, backend: Backend) -> _Opened:
    from runtime.engines.open_engine import open_engine

    if backend.provider != "cpu":
        raise OptionError("an engine runs in TensorRT itself; leave --provider out")
    if bundle.variant(bundle.manifest.engines[version].variant).more_outputs:
        raise OptionError(f"the engine '{version}' has several outputs; serve its variant instead")
    runner = open_engine(bundle, version)
    return _Opened(
        lambda images: [runner.logits(images)],
        runner.name,
        runner.notes,
        runner.close,
        runner.accepts,
    )


def _in_one_batch_size(run: Run, variant: Variant) -> Run:
    """Return a run that fills up, or splits, what a model of fixed batch is given."""
    fixed = fixed_batch(variant)
    if not fixed:
        return run

    def filled(images: Images) -> Outputs:
        whole = []
        for start in range(0, len(images), fixed):
            part = images[start : start + fixed]
            outputs = run(fill_batch(part, fixed))
            whole.append([output[: len(part)] for output in outputs])
        return [np.concatenate(parts) for parts in zip(*whole, strict=True)]

    return filled


def _prove(bundle: Bundle, variant: Variant, run: Run, opened: _Opened, largest: int) -> None:
    """Return if the model answers golden inputs as PyTorch did; it is warm then, too."""
    for case, tolerance in zip(bundle.manifest.golden, variant.golden_tolerances, strict=True):
        images, expected = read_golden(bundle, case, variant)
        if not opened.accepts(images.shape):
            continue
        parts = [
            join_outputs(run(images[start : start + largest]))
            for start in range(0, len(images), largest)
        ]
        gap = _gap(np.concatenate(parts), expected)
        if not gap <= tolerance:
            raise VerdictError(
                f"'{bundle.folder}', {variant.file}: off by {gap:.2g} on {case.content}; expected "
                f"at most {tolerance:.2g}; run `python -m runtime verify {bundle.folder}`"
            )


def _gap(given: Logits, expected: Logits) -> float:
    if given.shape != expected.shape:
        return float("inf")
    return float(np.abs(given.astype(np.float64) - expected).max(initial=0.0))
