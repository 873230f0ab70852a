"""Two releases beside each other: what changed is told, what is worse than the gates fails."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.cli import main
from export.release.diff import diff
from export.verdict.read_gates import Gates, ReleaseGate
from runtime.benchmark.document import SCHEMA_VERSION, Benchmark, Case, Measurement
from runtime.benchmark.machine import describe_machine
from runtime.bundle import Bundle
from runtime.cli import main as run
from runtime.publishing.publish import publish
from runtime.results_file import results_path
from runtime.schema import to_json


@pytest.fixture(scope="session")
def older(tmp_path_factory):
    """The digits classifier, exported."""
    folder = tmp_path_factory.mktemp("release") / "older"
    order = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--quiet"]
    assert main([*order, "--output", str(folder)]) == 0
    return Bundle.load(folder)


@pytest.fixture(scope="session")
def scans(write_scans, tmp_path_factory):
    chosen = np.random.default_rng(0).permutation(1797)[:100]
    return write_scans(tmp_path_factory.mktemp("scans"), chosen)


@pytest.fixture
def newer(older, tmp_path):
    """Return a function that publishes the older bundle with changes."""

    def publish_it(spoil=None, files=None, **changes):
        manifest = older.manifest
        contents = {path: older.folder / path for path in manifest.files} | (files or {})
        if spoil is not None:
            contents["model.onnx"] = altered(older, spoil)
        return publish(
            tmp_path / "newer",
            contents,
            lambda listed: dataclasses.replace(manifest, files=listed, **changes),
        )

    return publish_it


def altered(bundle, change):
    """Return the model with the weights of some layers changed."""
    model = onnx.load_from_string(bundle.read("model.onnx"))
    for array in model.graph.initializer:
        values = numpy_helper.to_array(array).copy()
        change(array.name, values)
        array.CopyFrom(numpy_helper.from_array(values, array.name))
    return model.SerializeToString()


def scale_one_layer(name, values):
    if name == "layer2.0.conv1.weight":
        values *= 1.25


def zero_the_classifier(name, values):
    if name == "fc.weight":
        values[:] = 0


def found(comparison, area):
    return {each.subject: each for each in comparison.differences if each.area == area}


def evaluate(bundle, data):
    assert run(["evaluate", str(bundle.folder), "--data", str(data), "--quiet"]) == 0


def write_benchmark(bundle, p50_ms, **changes):
    files = bundle.manifest.files
    measurement = Measurement(
        case=Case(name="fp32", provider="cpu", threads=1, batch=1, size=8),
        runner="onnxruntime cpu",
        p50_ms=p50_ms,
        p90_ms=p50_ms,
        p99_ms=p50_ms,
        images_per_s=1000 / p50_ms,
        load_ms=10.0,
        peak_mib=50.0,
        runs=100,
        windows_ms=(p50_ms, p50_ms * 1.01),
        settled=True,
    )
    document = {
        "schema_version": SCHEMA_VERSION,
        "bundle": str(bundle.folder),
        "model": bundle.manifest.model.name,
        "files": {"fp32": files["model.onnx"].sha256},
        "machine": describe_machine(with_gpu=False),
        "protocol": "by hand",
        "measurements": (measurement,),
        "tools": {},
    }
    benchmark = Benchmark(**{**document, **changes})
    results_path(bundle.folder, "bench").write_bytes(to_json(benchmark))


def test_a_bundle_and_its_copy_hold_the_same_files(older, newer):
    comparison = diff(older, newer(), Gates())
    assert comparison.identical
    assert comparison.differences == ()
    assert "weights" in comparison.same
    assert comparison.failed == ()


def test_a_copy_whose_model_was_altered_is_not_taken_for_the_same(older, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(older.folder, copy)
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"more")
    assert main(["diff", str(older.folder), str(copy)]) == 2
    assert "model.onnx' was altered" in capsys.readouterr().err


def test_weights_are_told_by_layer(older, newer):
    comparison = diff(older, newer(scale_one_layer), Gates())
    (weights,) = found(comparison, "weights").values()
    assert weights.subject == "1 of 20 layers"
    assert weights.change == pytest.approx(0.25)
    assert "layer2.0.conv1 by 0.25 of its norm" in weights.remark
    assert "answers" in comparison.same  # the recorded ones; the model was altered behind them


def test_layers_that_come_and_go_are_named(older, newer):
    model = onnx.load_from_string(older.read("model.onnx"))
    for node in model.graph.node:
        if node.name in ("layer3.0.conv1", "layer3.0.conv2"):
            node.name += "x"
    weights = found(
        diff(older, newer(files={"model.onnx": model.SerializeToString()}), Gates()), "weights"
    )
    assert weights["2 layers gone"].remark == "layer3.0.conv1, layer3.0.conv2"
    assert weights["2 layers new"].before == "none"


def test_preprocessing_and_labels_are_warnings_for_those_who_call(older, newer):
    image = dataclasses.replace(older.manifest.image, resize=9)
    comparison = diff(older, newer(image=image, labels=tuple("1023456789")), Gates())
    assert found(comparison, "preprocessing")["resize"].after == "9"
    assert found(comparison, "labels")["2 of them moved"].before == "0"
    assert {each.status for each in comparison.warned} == {"warn"}
    assert comparison.failed == ()


def test_labels_that_go_and_come_are_named(older, newer):
    comparison = diff(older, newer(labels=(*"012345678", "nine")), Gates())
    (labels,) = found(comparison, "labels").values()
    assert (labels.before, labels.after) == ("9", "nine")


def test_tools_are_told(older, newer):
    comparison = diff(older, newer(tools={**older.manifest.tools, "torch": "9.9"}), Gates())
    assert found(comparison, "tools")["torch"].after == "9.9"


def test_a_variant_that_is_gone_fails_and_a_new_one_does_not(older, newer):
    variants = older.manifest.variants
    more = newer(variants={**variants, "fp16": variants["fp32"]})
    assert diff(older, more, Gates()).failed == ()
    (gone,) = diff(more, older, Gates()).failed
    assert (gone.area, gone.subject, gone.after) == ("variants", "fp16", "none")


def test_growth_fails_beyond_its_gate(older, newer):
    model = onnx.load_from_string(older.read("model.onnx"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(50_000, np.float32), "more"))
    larger = newer(files={"model.onnx": model.SerializeToString()})
    (size,) = diff(older, larger, Gates()).failed
    assert size.area == "size"
    assert size.change > 1.1
    generous = Gates(release=ReleaseGate(largest_growth=2.0))
    assert diff(older, larger, generous).failed == ()


def test_accuracy_counts_where_both_were_evaluated_on_the_same_images(older, newer, scans):
    worse = newer(zero_the_classifier)
    comparison = diff(older, worse, Gates())
    assert any(reason.startswith("accuracy: there is no") for reason in comparison.not_compared)
    evaluate(older, scans)
    evaluate(worse, scans)
    comparison = diff(older, worse, Gates())
    accuracy = found(comparison, "accuracy")["fp32"]
    assert accuracy.status == "fail"
    assert accuracy.high < 0
    assert accuracy in comparison.failed
    assert diff(worse, older, Gates()).failed == ()  # better is not worse


def test_an_evaluation_of_other_images_or_another_model_is_not_compared(older, newer, scans):
    same = newer()
    evaluate(older, scans)
    evaluate(same, scans)
    path = results_path(same.folder, "evaluation")
    document = json.loads(path.read_text())
    document["data"]["sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    comparison = diff(older, same, Gates())
    assert any("are not the same images" in reason for reason in comparison.not_compared)
    document["variants"]["fp32"]["sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    comparison = diff(older, same, Gates())
    assert any("of another 'fp32'" in reason for reason in comparison.not_compared)


def test_speed_fails_when_it_is_slower_than_its_gate_on_machines_that_are_alike(older, newer):
    same = newer()
    write_benchmark(older, 1.0)
    write_benchmark(same, 1.5)
    comparison = diff(older, same, Gates())
    (slower,) = comparison.failed
    assert (slower.area, slower.change) == ("speed", pytest.approx(1.5))
    assert diff(same, older, Gates()).failed == ()
    write_benchmark(same, 1.05)
    assert diff(older, same, Gates()).failed == ()
    other = dataclasses.replace(describe_machine(with_gpu=False), cpu="another")
    write_benchmark(same, 9.0, machine=other)
    comparison = diff(older, same, Gates())
    assert comparison.failed == ()
    assert any(reason.startswith("speed: the machines") for reason in comparison.not_compared)


def test_the_command_is_a_gate(older, newer, capsys, tmp_path):
    model = onnx.load_from_string(older.read("model.onnx"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(50_000, np.float32), "more"))
    larger = newer(files={"model.onnx": model.SerializeToString()})
    words = ["diff", str(older.folder), str(larger.folder)]
    assert main([*words, "--quiet"]) == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].split() == ["what", "of", "before", "after", "limit"]
    assert lines[2].startswith("fail  size")
    assert max(map(len, lines)) <= 80
    (error,) = captured.err.splitlines()
    assert "is worse than" in error
    gates = tmp_path / "gates.toml"
    gates.write_text("[release]\nlargest_growth = 2\n")
    assert main([*words, "--quiet", "--gates", str(gates), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"]
    assert "size" in {each["area"] for each in document["differences"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{missing}", "{bundle}"], "there is no bundle"),
        (["{bundle}", "{missing}"], "there is no bundle"),
        (["{bundle}", "{altered}"], "was altered"),
        (["{bundle}", "{bundle}", "--gates", "{missing}"], "cannot read"),
        (["{bundle}"], "Missing argument"),
    ],
)
def test_what_cannot_work_is_one_line(older, newer, tmp_path, capsys, words, said):
    other = newer(scale_one_layer)
    with (other.folder / "model.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    places = {"missing": tmp_path / "no", "bundle": older.folder, "altered": other.folder}
    assert main(["diff", *[word.format(**places) for word in words], "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
