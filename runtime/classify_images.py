"""Classifies image files with a bundle's model, in constant memory however many they are.

Done at once, because it leaves the interpreter: hashing the model and importing numpy and the
backend; opening the model and reading the first images; running one batch and reading the next.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.bundle import Bundle
from runtime.errors import ImageError, OptionError
from runtime.feed import Chunk, check_classifier, fixed_batch, load_ahead, run_chunk
from runtime.open_runner import start_opening
from runtime.providers import check_provider

if TYPE_CHECKING:
    from runtime.classify import RankedClass
    from runtime.onnx_runner import OnnxRunner
    from runtime.runner import Logits
    from runtime.tensorrt_runner import TensorRtRunner

__all__ = ["Classification", "Classified", "Request", "classify_images"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What shall run, and what is asked of it.

    Raises:
        OptionError: if a number is less than 1, there is no such provider, or an engine is to run
            in one.
    """

    variant: str = "fp32"
    engine: str = ""
    """One of the bundle's engines, to run instead of the variant."""
    provider: str = "cpu"
    allow_fallback: bool = False
    top: int = 5
    """How many classes of each image."""
    batch: int = 8
    """How many images the model is given at once; a model of fixed batch takes its own."""
    threads: int = 0
    """How many a provider on the processor takes for one run; 0 leaves it to that."""

    def __post_init__(self) -> None:
        if min(self.top, self.batch) < 1:
            raise OptionError(f"given top {self.top}, batch {self.batch}; expected at least 1 each")
        check_provider(self.provider)
        if self.engine and self.provider != "cpu":
            raise OptionError("an engine runs in TensorRT itself; leave --provider out")


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What became of one image file."""

    image: Path
    classes: tuple[RankedClass, ...] = ()
    """The most probable first; none if the image could not be read."""
    error: str = ""
    """Why it could not be read."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Under way: what runs, on what, and what comes of it."""

    variant: str
    """The name of the variant or engine."""
    runner: OnnxRunner | TensorRtRunner
    images: Sequence[Path]
    results: Iterator[Classified]
    """One for each image, in order, as it comes."""


@contextlib.contextmanager
def classify_images(
    bundle: Bundle, paths: Sequence[str], request: Request
) -> Iterator[Classification]:
    """Classify images; one that cannot be read stops no other.

    Args:
        bundle: where the model is.
        paths: files, folders and patterns; see runtime.find_images.
        request: what shall run, and what is asked of it.

    Raises:
        OptionError: if there is no such variant, engine or image, or the model takes others than
            its preprocessing makes.
        BundleError: if the model is not what was published.
        BackendError: if the model cannot be run as asked, or yields NaN.
    """
    manifest = bundle.manifest
    variant = bundle.variant(_variant(bundle, request))
    check_classifier(variant, manifest)
    fixed = fixed_batch(variant)
    pool = ThreadPoolExecutor(os.cpu_count())
    held = contextlib.ExitStack()
    try:
        open_model = _start_opening(bundle, request, pool, held)
        from runtime.find_images import find_images

        images = find_images(paths)
        chunks = load_ahead(images, manifest, fixed or request.batch, pool)
        runner = open_model()
        answered = ((chunk, run_chunk(runner, chunk, fixed)) for chunk in chunks)
        results = _rank(answered, manifest.labels, request.top)
        with held:
            yield Classification(
                variant=request.engine or request.variant,
                runner=runner,
                images=images,
                results=results,
            )
    finally:
        # Not waited for: Ctrl-C can leave the pool's own locks held, and then it never ends.
        pool.shutdown(wait=False, cancel_futures=True)


def _variant(bundle: Bundle, request: Request) -> str:
    if not request.engine:
        return request.variant
    from runtime.engines.open_engine import find_engine

    return find_engine(bundle, request.engine).variant


def _start_opening(
    bundle: Bundle, request: Request, pool: Executor, held: contextlib.ExitStack
) -> Callable[[], OnnxRunner | TensorRtRunner]:
    """Return what opens the model; an engine has to be closed, which `held` does."""
    if not request.engine:
        open_model = start_opening(bundle, request.variant, pool)
        return lambda: open_model(
            request.provider, allow_fallback=request.allow_fallback, threads=request.threads
        )
    from runtime.engines.open_engine import open_engine

    return lambda: held.enter_context(open_engine(bundle, request.engine))


def _rank(
    answered: Iterator[tuple[Chunk, Logits | None]], labels: Sequence[str], top: int
) -> Iterator[Classified]:
    from runtime.classify import classify

    for chunk, logits in answered:
        ranked = iter([] if logits is None else classify(logits, labels, top))
        for image, loaded in chunk:
            if isinstance(loaded, ImageError):
                yield Classified(image=image, error=str(loaded))
            else:
                yield Classified(image=image, classes=next(ranked))
