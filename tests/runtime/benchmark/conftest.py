"""Bundles to benchmark, and benchmarks that nobody measured."""

import dataclasses

import pytest

from runtime.benchmark.document import Benchmark, Case, Measurement
from runtime.benchmark.machine import describe_machine
from runtime.benchmark.timing import Pace


@pytest.fixture(scope="session")
def two_variants(publish_tiny, tmp_path_factory):
    """Return a bundle whose fp16 is its fp32 once more."""

    def add_file(files):
        files["model.fp16.onnx"] = files["model.onnx"]

    def add_variant(manifest):
        base = manifest.variants["fp32"]
        more = dataclasses.replace(base, file="model.fp16.onnx")
        return dataclasses.replace(manifest, variants={"fp32": base, "fp16": more})

    return publish_tiny(
        tmp_path_factory.mktemp("two") / "two", change_files=add_file, change_manifest=add_variant
    )


@pytest.fixture(scope="session")
def machine():
    """Return the machine this runs on."""
    return describe_machine()


@pytest.fixture(scope="session")
def hurry():
    """Return a pace at which nothing worth knowing is measured."""
    return Pace(window_seconds=0.02, warm_up_seconds=0.05)


@pytest.fixture
def make_benchmark(machine):
    """Return what makes a benchmark of (name, threads, batch, milliseconds) on this machine."""

    def make(*rows):
        return Benchmark(
            schema_version=1,
            bundle="tiny",
            model="tiny",
            files={name: "0" * 64 for name, *_ in rows},
            machine=machine,
            protocol="",
            measurements=tuple(
                Measurement(
                    case=Case(name=name, provider="cpu", threads=threads, batch=batch, size=16),
                    runner="onnxruntime cpu",
                    p50_ms=ms,
                    p90_ms=ms,
                    p99_ms=ms,
                    images_per_s=1000 * batch / ms,
                    load_ms=1.0,
                    peak_mib=1.0,
                    runs=30,
                    windows_ms=(ms, ms * 1.01, ms * 0.99),
                    settled=True,
                )
                for name, threads, batch, ms in rows
            ),
            tools={},
        )

    return make
