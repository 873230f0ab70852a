"""Finds the evaluation and the benchmark that lie beside a bundle, or makes them.

What lies there is used only if it is of these very models, on this machine, on these very images.
"""

from __future__ import annotations

from pathlib import Path

from runtime.benchmark.bench import bench
from runtime.benchmark.document import Benchmark, read_benchmark
from runtime.benchmark.machine import describe_machine, differences
from runtime.benchmark.plan import Plan
from runtime.benchmark.timing import Pace
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.evaluation.dataset import Dataset
from runtime.evaluation.document import Evaluation, read_evaluation
from runtime.evaluation.evaluate import Request, evaluate
from runtime.feed import fixed_batch
from runtime.publishing.replace_file import replace_file
from runtime.results_file import results_path
from runtime.schema import to_json
from runtime.terminal import Screen

__all__ = ["find_benchmark", "find_evaluation"]

_SHORT = Pace(warm_up_seconds=2.0, window_seconds=0.25)


def find_evaluation(bundle: Bundle, dataset: Dataset, screen: Screen) -> Evaluation:
    """Return how right every variant is on the images.

    Raises:
        DeployError: if the variants cannot be evaluated on them.
    """
    path = results_path(bundle.folder, "evaluation")
    try:
        found = read_evaluation(path)
    except BundleError:
        found = None
    if found is not None and _is_of(found, bundle, dataset, path):
        screen.note(f"evaluation of {found.images} images from {path}")
        return found
    return evaluate(bundle, dataset, Request(), path, screen)


def _is_of(found: Evaluation, bundle: Bundle, dataset: Dataset, path: Path) -> bool:
    manifest = bundle.manifest
    models = {name: result.sha256 for name, result in found.variants.items()}
    same = found.data.sha256 == dataset.sha256() and found.data.root == str(dataset.root)
    # The files' hashes also cover preprocessing and labels, which are stamped into them.
    whole = all(
        models.get(name) == manifest.files[variant.file].sha256
        for name, variant in manifest.variants.items()
    )
    return same and whole and not _any_newer(dataset, path)


def _any_newer(dataset: Dataset, path: Path) -> bool:
    """Return whether an image was changed after the results were written."""
    written = path.stat().st_mtime_ns
    try:
        return any(example.path.stat().st_mtime_ns > written for example in dataset.examples)
    except OSError:
        return True


def find_benchmark(bundle: Bundle, screen: Screen) -> Benchmark:
    """Return how fast every variant runs on this machine, one image at a time if it can.

    Raises:
        DeployError: if a variant cannot run, or the results cannot be written.
    """
    path, machine = results_path(bundle.folder, "bench"), describe_machine(with_gpu=False)
    try:
        found = read_benchmark(path)
    except BundleError:
        found = None
    if found is not None and _measures(found, bundle):
        unlike = [each for each in differences(found.machine, machine) if each[:4] != "gpu:"]
        if not unlike:
            screen.note(f"speed from {path}")
            return found
    fixed = fixed_batch(bundle.manifest.variants["fp32"])
    with screen.step("time") as step:
        plan = Plan(variants=tuple(bundle.manifest.variants), batches=(fixed or 1,), pace=_SHORT)
        measured = bench(bundle, plan, machine, screen)
        step.detail = f"batch {fixed or 1}, {len(measured.measurements)} variants in turn"
    if found is None:  # never in place of what was measured with more patience
        replace_file(path, to_json(measured))
    return measured


def _measures(found: Benchmark, bundle: Bundle) -> bool:
    manifest = bundle.manifest
    batch = fixed_batch(manifest.variants["fp32"]) or 1
    timed = {m.case.name for m in found.measurements if m.case.batch == batch}
    return all(
        name in timed and found.files.get(name) == manifest.files[variant.file].sha256
        for name, variant in manifest.variants.items()
    )
