"""Lines up what is measured: every model open in a process of its own, with the shapes it is given.

Batches and sizes share a process and grow, so that its peak memory is that of the largest so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runtime.benchmark.child import Child
from runtime.benchmark.document import Case
from runtime.benchmark.plan import Plan
from runtime.benchmark.worker import Subject
from runtime.bundle import Bundle
from runtime.engines.open_engine import find_engine
from runtime.errors import BackendError, OptionError
from runtime.feed import fixed_batch
from runtime.providers import PROVIDERS
from runtime.terminal import Screen
from runtime.variant import Variant

__all__ = ["Contestant", "line_up"]

_BATCHES = (1, 8)


@dataclass(frozen=True)
class Contestant:
    """A case, and the process that runs it."""

    case: Case
    child: Child
    shape: tuple[int, ...]
    """Of the images."""
    dtype: str
    bare: bool
    """Whether it is the bare ONNX Runtime loop that others are compared with."""


def line_up(
    bundle: Bundle, plan: Plan, held: contextlib.ExitStack, screen: Screen
) -> tuple[list[Contestant], dict[str, str]]:
    """Open every model in a process of its own; return who runs, and which engines cannot, and why.

    Raises:
        OptionError: if there is no such variant or engine, or it does not take such a batch or
            size.
        BackendError: if a model that was named cannot run as asked.
    """
    contestants: list[Contestant] = []
    left_out: dict[str, str] = {}
    everything = not plan.variants and not plan.engines
    variants = plan.variants or (tuple(bundle.manifest.variants) if everything else ())
    shapes = {name: list(_shapes(bundle, bundle.variant(name), plan)) for name in variants}
    for subject in _subjects(bundle, variants, plan):
        child = held.enter_context(Child(subject.name, subject.command))
        if not subject.bare:
            for note in child.opened.notes:
                screen.warn(note)
        contestants += _cases(bundle, subject, child, shapes[subject.name])
    for name in plan.engines or (bundle.manifest.engines if everything else ()):
        subject = Subject(bundle=str(bundle.folder), name=name, engine=True)
        engine = find_engine(bundle, name)
        try:
            child = held.enter_context(Child(name, subject.command))
        except BackendError as error:
            if plan.engines:
                raise
            left_out[name] = str(error)
            screen.warn(f"left out: {error}")
            continue
        sized = list(_shapes(bundle, bundle.variant(engine.variant), plan))
        contestants += _cases(bundle, subject, child, sized)
    return contestants, left_out


def _subjects(bundle: Bundle, variants: Sequence[str], plan: Plan) -> Iterator[Subject]:
    for name, provider, threads in itertools.product(
        variants, plan.providers, plan.threads or (0,)
    ):
        subject = Subject(bundle=str(bundle.folder), name=name, provider=provider, threads=threads)
        yield subject
        # CUDA and TensorRT have libraries to be found and loaded first: no script of a few lines.
        if plan.against and not PROVIDERS[provider].library:
            yield dataclasses.replace(subject, bare=True)


def _shapes(bundle: Bundle, variant: Variant, plan: Plan) -> Iterator[tuple[int, int, list[int]]]:
    """Yield batch, size and the whole shape of the images, the smallest first.

    Raises:
        OptionError: if the variant does not take one of them.
    """
    manifest = bundle.manifest
    fixed = fixed_batch(variant)
    batches = sorted(plan.batches) or ([fixed] if fixed else _BATCHES)
    for size, batch in itertools.product(sorted(plan.sizes) or [manifest.image.crop], batches):
        image = dataclasses.replace(manifest.image, crop=size)
        shape = [batch, *image.shape(manifest.pixels or "NCHW")]
        taken = zip(variant.input.sizes, shape, strict=True)
        if not all(size in (None, side) for size, side in taken):
            raise OptionError(
                f"the model takes images of {'x'.join(variant.input.shape)}; given batch {batch}, "
                f"size {size}: leave out --batch and --size, or name those"
            )
        yield batch, size, shape


def _cases(
    bundle: Bundle, subject: Subject, child: Child, shapes: Sequence[tuple[int, int, list[int]]]
) -> Iterator[Contestant]:
    dtype = "uint8" if bundle.manifest.pixels else "float32"
    for batch, size, shape in shapes:
        case = Case(
            name=subject.name,
            provider="engine" if subject.engine else subject.provider,
            threads=subject.threads,
            batch=batch,
            size=size,
        )
        yield Contestant(case, child, tuple(shape), dtype, subject.bare)
