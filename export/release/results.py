"""What changed of accuracy and speed, from the results that lie beside both bundles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from export.release.difference import Difference
from export.verdict.gates import FAIL, NOT_SHOWN, PASS, TOLD
from export.verdict.read_gates import Gates
from runtime.benchmark.compare import Compared
from runtime.benchmark.document import Benchmark, Case, read_benchmark
from runtime.benchmark.machine import differences
from runtime.bundle import Bundle
from runtime.evaluation.document import Evaluation, read_evaluation
from runtime.manifest import Manifest
from runtime.results_file import results_path
from runtime.share import Share

__all__ = ["Unlike", "diff_accuracy", "diff_speed"]


class Unlike(Exception):
    """Two results say nothing about each other; the message says why, in a sentence."""


def diff_accuracy(before: Bundle, after: Bundle, gates: Gates) -> Iterator[Difference]:
    """Yield how right every variant is that both evaluations have.

    Raises:
        Unlike: if there are not two evaluations, of these bundles and the same images.
        BundleError: if one cannot be read.
    """
    old, new = (_evaluation(bundle) for bundle in (before, after))
    if old.data.sha256 != new.data.sha256:
        raise Unlike(
            f"accuracy: '{old.data.source}' and '{new.data.source}' are not the same images and "
            "labels; evaluate both on the same"
        )
    for name, result in new.variants.items():
        if name in old.variants:
            yield _top1(name, old.variants[name].top1, result.top1, gates)


def _evaluation(bundle: Bundle) -> Evaluation:
    path = _find(bundle, "evaluation", "python -m runtime evaluate BUNDLE --data FOLDER")
    found = read_evaluation(path)
    evaluated = {name: result.sha256 for name, result in found.variants.items()}
    _check_own(evaluated, bundle.manifest, path)
    return found


def _top1(name: str, before: Share, after: Share, gates: Gates) -> Difference:
    change = 100 * (after.value - before.value)
    limit, floor = gates.release.largest_drop_points, gates.accuracy.least_top1
    status, gate = PASS, f"-{limit:g} points"
    if -change > limit:
        status = FAIL if before.count - after.count > 1 else NOT_SHOWN
    if after.value < floor:
        status, gate = FAIL, f"{floor:.1%}"
    low, high = _interval(before, after)
    by_chance = "; on these images that may be accident" if low <= 0 <= high else ""
    return Difference(
        area="accuracy",
        subject=name,
        before=f"{before.value:.2%}",
        after=f"{after.value:.2%} ({change:+.2f})",
        status=status,
        gate=gate,
        remark=f"95 % interval {low:+.2f} to {high:+.2f} points{by_chance}",
        change=change,
        low=low,
        high=high,
        unit="points",
    )


def _interval(before: Share, after: Share) -> tuple[float, float]:
    """Return the 95 % interval of the difference in points.

    Newcombe ("Interval estimation for the difference between independent proportions", 1998, method
    10), from the two Wilson intervals. That the images are the same would make it narrower; but
    which image each had right, an evaluation does not keep.
    """
    difference = after.value - before.value
    below = math.hypot(after.value - after.low, before.high - before.value)
    above = math.hypot(after.high - after.value, before.value - before.low)
    return 100 * (difference - below), 100 * (difference + above)


def diff_speed(before: Bundle, after: Bundle, gates: Gates) -> Iterator[Difference]:
    """Yield how fast every case is that both benchmarks have.

    Raises:
        Unlike: if there are not two benchmarks, of these bundles and machines that are alike.
        BundleError: if one cannot be read.
    """
    old, new = (_benchmark(bundle) for bundle in (before, after))
    unlike = differences(new.machine, old.machine)
    if unlike:
        raise Unlike(f"speed: the machines are unlike: {'; '.join(unlike)}; run both on one")
    known = {each.case: each for each in old.measurements}
    for each in new.measurements:
        if each.case in known:
            yield _case(Compared(case=each.case, before=known[each.case], after=each), gates)


def _benchmark(bundle: Bundle) -> Benchmark:
    path = _find(bundle, "bench", "python -m runtime bench BUNDLE")
    found = read_benchmark(path)
    _check_own(found.files, bundle.manifest, path)
    return found


def _case(compared: Compared, gates: Gates) -> Difference:
    limit, ratio = gates.release.largest_slowdown, compared.ratio
    slower = ratio > limit and compared.changed
    settled = compared.before.settled and compared.after.settled
    return Difference(
        area="speed",
        subject=_name(compared.case),
        before=f"{compared.before.p50_ms:.3g} ms",
        after=f"{compared.after.p50_ms:.3g} ms (x {ratio:.2f})",
        status=(FAIL if settled else NOT_SHOWN) if slower else (PASS if settled else TOLD),
        gate=f"x {limit:g}",
        remark="" if settled else "the windows did not come to agree: mistrust the numbers",
        change=ratio,
        unit="times",
    )


def _name(case: Case) -> str:
    provider = "" if case.provider == "cpu" else f" on {case.provider}"
    threads = f", {case.threads} threads" if case.threads else ""
    return f"{case.name}{provider} {case.batch}x{case.size}px{threads}"


def _find(bundle: Bundle, kind: str, command: str) -> Path:
    path = results_path(bundle.folder, kind)
    if not path.exists():
        area = {"evaluation": "accuracy", "bench": "speed"}[kind]
        raise Unlike(f"{area}: there is no '{path}'; make it with: {command}")
    return path


def _check_own(files: dict[str, str], manifest: Manifest, path: Path) -> None:
    """Refuse results of other models than the bundle's.

    Args:
        files: SHA-256 of what ran, by variant or engine.
        manifest: of the bundle.
        path: where the results were read.
    """
    models = manifest.model_files
    for name, sha256 in files.items():
        if name not in models or manifest.files[models[name]].sha256 != sha256:
            raise Unlike(f"'{path}' is of another '{name}' than the bundle's; make it anew")
