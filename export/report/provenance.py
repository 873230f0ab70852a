"""Tells what must be known to make a bundle, and its verdict, again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from calibration.ranges_file import RANGES_FILE, RangesFile
from export.report.content import Facts
from export.verdict.verdict import Evidence
from runtime.bundle import Bundle
from runtime.installed_tools import installed_tools
from runtime.manifest import MANIFEST_FILE
from runtime.schema import from_json

__all__ = ["provenance"]


def provenance(bundle: Bundle, evidence: Evidence) -> tuple[Facts, ...]:
    """Return the facts about model, files, calibration, data, machine and tools."""
    manifest = bundle.manifest
    return (
        Facts(title="Model", rows=tuple(_model(bundle))),
        Facts(title="Preprocessing", rows=tuple(_preprocessing(bundle))),
        Facts(title="Files", rows=tuple(_files(bundle))),
        *_calibration(bundle),
        Facts(title="Labelled images", rows=tuple(_data(evidence))),
        *_machine(evidence),
        Facts(title="Versions that made the bundle", rows=tuple(manifest.tools.items())),
        Facts(title="Versions that judged it", rows=tuple(installed_tools().items())),
    )


def _model(bundle: Bundle) -> Iterator[tuple[str, str]]:
    model, weights = bundle.manifest.model, bundle.manifest.weights
    yield "name", model.name
    yield "classes", f"{model.classes:,}"
    yield "parameters", f"{model.parameters:,}"
    yield "multiply-accumulates", f"{model.macs:,} an image"
    yield "weights", f"{weights.origin}, {weights.detail}"
    yield "weights, SHA-256", weights.sha256


def _preprocessing(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for name, value in dataclasses.asdict(bundle.manifest.image).items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        yield name, shown
    yield "graphs take", f"{bundle.manifest.pixels or 'normalised float32 NCHW'}"


def _files(bundle: Bundle) -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "bundle", str(bundle.folder)
    yield MANIFEST_FILE, f"SHA-256 {bundle.inspect(MANIFEST_FILE).sha256}"
    for path in manifest.model_files.values():
        yield path, f"{manifest.files[path].size:,} bytes, SHA-256 {manifest.files[path].sha256}"


def _calibration(bundle: Bundle) -> Iterator[Facts]:
    if (
        RANGES_FILE not in bundle.manifest.files
        or bundle.inspect(RANGES_FILE) != (bundle.manifest.files[RANGES_FILE])
    ):
        return
    ranges = from_json(RangesFile, bundle.read(RANGES_FILE), RANGES_FILE)
    yield Facts(
        title="Calibration",
        rows=(
            ("images", str(ranges.images)),
            ("images, SHA-256", ranges.data.images),
            ("method", ", ".join(f"{n}: {grid.method}" for n, grid in ranges.grids.items())),
            ("ranges of", f"{len(next(iter(ranges.grids.values())).tensors)} tensors"),
        ),
    )


def _data(evidence: Evidence) -> Iterator[tuple[str, str]]:
    dataset, found = evidence.dataset, evidence.evaluation
    yield "source", str(dataset.source)
    yield "classes told by", dataset.layout
    yield "images", f"{len(dataset.examples):,}"
    if found is not None:
        yield "read", f"{found.images:,}, {len(found.failures)} could not be"
        yield "labels matched as", found.data.labels_as
    yield "list, SHA-256", dataset.sha256()


def _machine(evidence: Evidence) -> Iterator[Facts]:
    if evidence.benchmark is None:
        return
    machine = evidence.benchmark.machine
    rows = [
        ("processor", machine.cpu),
        ("instructions", " ".join(machine.isa)),
        ("cores", str(machine.cores)),
        ("memory", f"{machine.memory_gib} GiB"),
        ("system", machine.system),
        ("GPU", machine.gpu or "none"),
        ("how it was timed", evidence.benchmark.protocol),
    ]
    yield Facts(title="Machine", rows=tuple(row for row in rows if row[1]))
