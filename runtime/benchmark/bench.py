"""Benchmarks a bundle: every variant, batch, size, provider and thread count asked for, in turn.

Each model runs in a process of its own, which waits while others have their windows. Batches and
sizes share a process and grow, so that its peak memory is that of the largest so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from runtime.benchmark.child import Child
from runtime.benchmark.document import SCHEMA_VERSION, Benchmark, Case, Measurement, Overhead
from runtime.benchmark.machine import Machine
from runtime.benchmark.take_turns import RULE, Rule, Timed, take_turns
from runtime.benchmark.timing import PACE, Pace
from runtime.benchmark.worker import Subject
from runtime.bundle import Bundle
from runtime.engines.open_engine import find_engine
from runtime.errors import BackendError, OptionError
from runtime.manifest import Variant
from runtime.terminal import Screen
from runtime.tools import installed_tools

__all__ = ["Plan", "bench"]

_PAIRED = Rule(fewest=24, most=24)
"""Windows beside a bare loop: enough pairs for an interval that excludes 2 % where it can."""
_BATCHES = (1, 8)
_BUSY = 0.25
"""Processors' worth of work of others that is warned of."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What shall be measured; each list is combined with every other.

    Raises:
        OptionError: if a number is out of range.
    """

    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    """If neither is named: every variant, and every engine that runs here."""
    providers: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = ()
    """0, and none, leave it to the backend."""
    batches: tuple[int, ...] = ()
    """1 and 8 if empty."""
    sizes: tuple[int, ...] = ()
    """In pixels; the bundle's own if empty."""
    against: bool = False
    """Whether a bare ONNX Runtime loop runs beside every variant on the CPU."""
    pace: Pace = PACE

    def __post_init__(self) -> None:
        if min(self.batches, default=1) < 1 or min(self.sizes, default=1) < 1:
            raise OptionError(
                f"given batches {self.batches}, sizes {self.sizes}; expected at least 1 each"
            )
        if min(self.threads, default=0) < 0:
            raise OptionError(f"given threads {self.threads}; expected 0 or more each")


@dataclass(frozen=True)
class _Contestant:
    case: Case
    child: Child
    shape: tuple[int, ...]
    dtype: str
    bare: bool


def bench(bundle: Bundle, plan: Plan, machine: Machine, screen: Screen) -> Benchmark:
    """Return how fast the bundle's variants and engines run here.

    Raises:
        OptionError: if there is no such variant or engine, or it does not take such a batch or
            size.
        BackendError: if a model cannot run as asked.
    """
    warnings = list(_busy(machine))
    for warning in warnings:
        screen.warn(warning)
    with contextlib.ExitStack() as held:
        with screen.step("open") as step:
            contestants, left_out = _line_up(bundle, plan, held, screen)
            step.detail = ", ".join(dict.fromkeys(each.case.name for each in contestants))
        peaks = []
        with screen.progress("warm up", len(contestants)) as advance:
            for each in contestants:
                peaks.append(each.child.warm_up(each.shape, each.dtype, plan.pace).peak_mib)
                advance()
        rule = _PAIRED if plan.against else Rule()
        turns = [_window(each, plan.pace) for each in contestants]
        total = len(turns) * rule.most
        with screen.step("measure") as step, screen.progress("measure", total) as advance:
            timed = take_turns(turns, rule, advance)
            step.detail = f"{len(turns)} cases, {len(timed[0].windows)} rounds"
    bare = {each.case: times for each, times in zip(contestants, timed, strict=True) if each.bare}
    return Benchmark(
        schema_version=SCHEMA_VERSION,
        bundle=str(bundle.folder.absolute()),
        model=bundle.manifest.model.name,
        files={each.case.name: _sha256(bundle, each.case.name) for each in contestants},
        machine=machine,
        protocol=RULE,
        measurements=tuple(
            _measurement(each, times, peak, bare.get(each.case))
            for each, times, peak in zip(contestants, timed, peaks, strict=True)
            if not each.bare
        ),
        tools=installed_tools(),
        left_out=left_out,
        warnings=tuple(warnings),
    )


def _line_up(
    bundle: Bundle, plan: Plan, held: contextlib.ExitStack, screen: Screen
) -> tuple[list[_Contestant], dict[str, str]]:
    """Open every model in a process of its own; return who runs, and which engines cannot."""
    contestants: list[_Contestant] = []
    left_out: dict[str, str] = {}
    everything = not plan.variants and not plan.engines
    variants = plan.variants or (tuple(bundle.manifest.variants) if everything else ())
    shapes = {name: list(_shapes(bundle, bundle.variant(name), plan)) for name in variants}
    for subject in _subjects(bundle, variants, plan):
        child = held.enter_context(Child(subject.name, _command(subject)))
        if not subject.bare:
            for note in child.opened.notes:
                screen.warn(note)
        contestants += _cases(bundle, subject, child, shapes[subject.name])
    for name in plan.engines or (bundle.manifest.engines if everything else ()):
        subject = Subject(bundle=str(bundle.folder), name=name, engine=True)
        engine = find_engine(bundle, name)
        try:
            child = held.enter_context(Child(name, _command(subject)))
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
        if plan.against and provider == "cpu":
            yield dataclasses.replace(subject, bare=True)


def _command(subject: Subject) -> list[str]:
    words = json.dumps(dataclasses.asdict(subject))
    return [sys.executable, "-m", "runtime.benchmark.worker", words]


def _shapes(bundle: Bundle, variant: Variant, plan: Plan) -> Iterator[tuple[int, int, list[int]]]:
    """Yield batch, size and the whole shape of the images, the smallest first.

    Raises:
        OptionError: if the variant does not take one of them.
    """
    manifest = bundle.manifest
    taken = variant.input.shape
    batches = sorted(plan.batches) or ([int(taken[0])] if taken[0].isdigit() else _BATCHES)
    for size, batch in itertools.product(sorted(plan.sizes) or [manifest.image.crop], batches):
        image = dataclasses.replace(manifest.image, crop=size)
        shape = [batch, *image.shape(manifest.pixels or "NCHW")]
        if any(t.isdigit() and int(t) != d for t, d in zip(taken, shape, strict=True)):
            raise OptionError(
                f"the model takes images of {'x'.join(taken)}; given batch {batch}, size {size}: "
                "leave out --batch and --size, or name those"
            )
        yield batch, size, shape


def _cases(
    bundle: Bundle, subject: Subject, child: Child, shapes: Sequence[tuple[int, int, list[int]]]
) -> Iterator[_Contestant]:
    dtype = "uint8" if bundle.manifest.pixels else "float32"
    for batch, size, shape in shapes:
        case = Case(
            name=subject.name,
            provider="engine" if subject.engine else subject.provider,
            threads=subject.threads,
            batch=batch,
            size=size,
        )
        yield _Contestant(case, child, tuple(shape), dtype, subject.bare)


def _window(contestant: _Contestant, pace: Pace) -> Callable[[], Sequence[float]]:
    return lambda: contestant.child.window(contestant.shape, contestant.dtype, pace).ms


def _measurement(
    contestant: _Contestant, timed: Timed, peak_mib: float, bare: Timed | None
) -> Measurement:
    runs = sorted(timed.runs)
    opened = contestant.child.opened
    return Measurement(
        case=contestant.case,
        runner=opened.runner,
        p50_ms=_quantile(runs, 0.5),
        p90_ms=_quantile(runs, 0.9),
        p99_ms=_quantile(runs, 0.99),
        images_per_s=contestant.case.batch * len(runs) / sum(runs) * 1000,
        load_ms=opened.load_ms,
        peak_mib=peak_mib,
        runs=len(runs),
        windows_ms=tuple(timed.medians),
        settled=timed.settled,
        overhead=_overhead(timed, bare) if bare else None,
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that so many of the others do not exceed: one that was measured."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _overhead(ours: Timed, bare: Timed) -> Overhead:
    """Return the median of the pairs' ratios, and the order statistics that enclose it.

    The k-th smallest and largest of n enclose the median unless fewer than k fall on one side:
    a matter of tossing n coins, whatever the times are distributed like.
    """
    ratios = sorted(a / b for a, b in zip(ours.medians, bare.medians, strict=True))
    n = len(ratios)
    tails = [2 * sum(math.comb(n, i) for i in range(k)) / 2**n for k in range(n // 2 + 1)]
    k = max((k for k in range(1, n // 2 + 1) if tails[k] <= 0.05), default=1)
    return Overhead(
        ratio=statistics.median(ratios),
        low=ratios[k - 1],
        high=ratios[n - k],
        confidence=1 - tails[k] if n > 1 else 0.0,
        pairs=n,
    )


def _sha256(bundle: Bundle, name: str) -> str:
    manifest = bundle.manifest
    variant = manifest.variants.get(name)
    return manifest.files[variant.file if variant else manifest.engines[name].file].sha256


def _busy(machine: Machine) -> Iterator[str]:
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        if load > _BUSY * machine.cores:
            yield (
                f"others use {load:.1f} of {machine.cores} cores: these times are of a busy machine"
            )
