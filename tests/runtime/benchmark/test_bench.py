import dataclasses
import itertools
import json
import os
import signal
import sys

import onnx
import pytest

from runtime.benchmark.bench import bench
from runtime.benchmark.child import Child
from runtime.benchmark.document import read_benchmark
from runtime.benchmark.plan import Plan
from runtime.errors import BackendError, BundleError, OptionError
from runtime.manifest import Engine
from runtime.schema import to_json
from runtime.terminal import Screen

QUIET = Screen(quiet=True)
DYING = "import sys; print('no such luck', file=sys.stderr); sys.exit(3)"


def test_every_combination_is_measured_once(two_variants, machine, hurry, tmp_path):
    plan = Plan(batches=(2, 1), sizes=(16, 24), threads=(0, 1), pace=hurry)
    found = bench(two_variants, plan, machine, QUIET)
    cases = [(e.case.name, e.case.threads, e.case.size, e.case.batch) for e in found.measurements]
    assert cases == list(itertools.product(("fp32", "fp16"), (0, 1), (16, 24), (1, 2)))
    for each in found.measurements:
        assert 0 < each.p50_ms <= each.p90_ms <= each.p99_ms
        assert each.runs >= 3 * len(each.windows_ms) >= 9
        # At least half of the runs take the median or longer.
        assert 0 < each.images_per_s <= each.case.batch * 1000 / each.p50_ms * 2
        assert each.load_ms > 0
        assert 20 < each.peak_mib < 500
        assert each.overhead is None
    variants = two_variants.manifest.variants
    sha256 = two_variants.manifest.files[variants["fp16"].file].sha256
    assert found.files == {"fp32": sha256, "fp16": sha256}
    (tmp_path / "b.json").write_bytes(to_json(found))
    assert read_benchmark(tmp_path / "b.json") == found


def test_bare_loop_runs_beside_every_variant(two_variants, machine, hurry):
    plan = Plan(variants=("fp16",), batches=(4,), threads=(1,), against=True, pace=hurry)
    (measured,) = bench(two_variants, plan, machine, QUIET).measurements
    overhead = measured.overhead
    assert overhead.pairs == len(measured.windows_ms) == 24
    assert 0.01 < overhead.low <= overhead.ratio <= overhead.high < 100  # of windows this short
    assert 0.95 <= overhead.confidence < 1


def test_bare_loop_is_of_the_same_provider(two_variants, machine, hurry):
    pytest.importorskip("onnxruntime_ep_openvino")
    plan = Plan(variants=("fp16",), providers=("openvino",), batches=(4,), against=True, pace=hurry)
    (measured,) = bench(two_variants, plan, machine, QUIET).measurements
    assert measured.runner == "onnxruntime openvino"
    assert measured.overhead


def test_bundle_of_pixels_is_given_pixels(publish_tiny, machine, hurry, tmp_path):
    def take_pixels(model):
        graph = model.graph
        graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
        first = graph.node[0]
        cast = onnx.helper.make_node("Cast", ["images"], ["values"], to=onnx.TensorProto.FLOAT)
        first.input[0] = "values"
        graph.node.insert(0, cast)

    def tell(manifest):
        variant = manifest.variants["fp32"]
        pixels = dataclasses.replace(variant.input, dtype="uint8")
        variants = {"fp32": dataclasses.replace(variant, input=pixels)}
        return dataclasses.replace(manifest, variants=variants, pixels="NCHW")

    bundle = publish_tiny(tmp_path / "pixels", change_model=take_pixels, change_manifest=tell)
    plan = Plan(batches=(1,), against=True, pace=hurry)
    (measured,) = bench(bundle, plan, machine, QUIET).measurements
    assert measured.p50_ms > 0


def test_model_of_fixed_shape_is_measured_at_that_shape_alone(
    publish_tiny, machine, hurry, tmp_path
):
    bundle = publish_tiny(tmp_path / "fixed", shape=("4", "3", "16", "16"))
    (measured,) = bench(bundle, Plan(pace=hurry), machine, QUIET).measurements
    assert (measured.case.batch, measured.case.size) == (4, 16)
    for plan in (Plan(batches=(1,), pace=hurry), Plan(sizes=(24,), pace=hurry)):
        with pytest.raises(OptionError, match="takes images of 4x3x16x16"):
            bench(bundle, plan, machine, QUIET)


def test_what_the_bundle_lacks_is_refused(two_variants, machine, hurry):
    for plan, words in {
        Plan(variants=("int4",)): "has no variant 'int4'",
        Plan(engines=("fp32-trt",)): "has no engine 'fp32-trt'",
    }.items():
        with pytest.raises(OptionError, match=words):
            bench(two_variants, plan, machine, QUIET)
    for options in ({"batches": (0,)}, {"sizes": (-1,)}, {"threads": (-1,)}):
        with pytest.raises(OptionError, match="expected"):
            Plan(**options)
    with pytest.raises(OptionError, match="given 'tpu'; expected one of cpu"):
        Plan(providers=("tpu",))


def test_altered_model_is_not_run(publish_tiny, machine, hurry, tmp_path):
    bundle = publish_tiny(tmp_path / "altered")
    model = tmp_path / "altered" / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"logits", b"logitz"))
    with pytest.raises(BundleError, match=r"model\.onnx' was altered"):
        bench(bundle, Plan(pace=hurry), machine, QUIET)


def test_engine_that_is_not_what_was_described_is_refused(publish_tiny, machine, hurry, tmp_path):
    def add_files(files):
        files["fp32-trt.plan"] = files["fp32-trt.plan.json"] = b"{}"

    def add_engine(manifest):
        engine = Engine(file="fp32-trt.plan", variant="fp32")
        return dataclasses.replace(manifest, engines={"fp32-trt": engine})

    bundle = publish_tiny(tmp_path / "e", change_files=add_files, change_manifest=add_engine)
    for plan in (Plan(pace=hurry), Plan(engines=("fp32-trt",), pace=hurry)):
        with pytest.raises(BundleError, match=r"fp32-trt: fp32-trt\.plan\.json"):
            bench(bundle, plan, machine, QUIET)


def test_worker_that_dies_is_one_line():
    with pytest.raises(BackendError, match=r"fp32: its process ended \(status 3: .*no such luck"):
        Child("fp32", [sys.executable, "-c", DYING])


def test_worker_that_is_killed_is_one_line(two_variants, hurry):
    words = json.dumps({"bundle": str(two_variants.folder), "name": "fp32"})
    command = [sys.executable, "-m", "runtime.benchmark.worker", words]
    with Child("fp32", command) as child:
        assert child.window((1, 3, 16, 16), "float32", hurry).ms
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(BackendError, match="its process ended \\(status -9"):
            child.window((1, 3, 16, 16), "float32", hurry)
