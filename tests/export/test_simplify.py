"""Simplifying: smaller, the same numbers, and safe from what native code may do."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from export.simplify import Simplifier
from export.trace import trace
from runtime.onnx_runner import OnnxRunner


@pytest.fixture(scope="module")
def outcome(wordy_graph):
    with Simplifier() as simplify:
        return simplify(wordy_graph)


def test_what_computes_constants_disappears(outcome):
    assert outcome.kept_because == ""
    assert outcome.before["Shape"] > 0
    expected = {"Conv", "Relu", "Add", "MaxPool", "Pad", "GlobalAveragePool", "Flatten", "Gemm"}
    assert set(outcome.after) == expected
    assert outcome.after.total() < outcome.before.total()


def test_resnet18_ends_at_49_nodes(resnet18_graph):
    with Simplifier() as simplify:
        assert simplify(resnet18_graph).after.total() <= 49


def test_a_norm_that_was_not_folded_is_folded_into_its_convolution(digits):
    with Simplifier() as simplify:
        outcome = simplify(trace(digits))
    assert outcome.before["BatchNormalization"] == 19
    assert outcome.after["BatchNormalization"] == 0


def test_dynamic_dimensions_stay_dynamic(outcome):
    dims = [str(getattr(d, "value", d)) for d in outcome.graph.graph.inputs[0].shape]
    assert dims == ["batch", "1", "height", "width"]


def test_simplifying_changes_the_graph_but_not_the_logits(outcome, wordy_graph):
    images = np.random.default_rng(1).standard_normal((3, 1, 15, 9), dtype=np.float32)
    before, after = (
        OnnxRunner.open(ir.to_proto(graph).SerializeToString()).logits(images)
        for graph in (wordy_graph, outcome.graph)
    )
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_names_of_modules_survive(outcome):
    names = {node.name for node in outcome.graph.graph}
    assert {"conv1", "layer2.0.conv2", "layer3.2.add", "fc"} <= names


def test_the_simplifier_leaves_no_notes_in_the_model(outcome):
    assert not outcome.graph.metadata_props


def test_a_crash_of_native_code_keeps_the_original(digits_graph):
    with Simplifier() as simplify:
        os.kill(simplify.pid, signal.SIGSEGV)
        time.sleep(0.1)
        outcome = simplify(digits_graph)
    assert outcome.graph is digits_graph
    assert "-11" in outcome.kept_because


def test_a_hang_of_native_code_ends_at_the_time_limit(digits_graph):
    with Simplifier(time_limit_s=0.3) as simplify:
        os.kill(simplify.pid, signal.SIGSTOP)
        outcome = simplify(digits_graph)
    assert outcome.graph is digits_graph
    assert "took over 0.3 s" in outcome.kept_because


def test_running_out_of_memory_keeps_the_original(digits_graph):
    with Simplifier(memory_limit_mib=200) as simplify:
        outcome = simplify(digits_graph)
    assert outcome.graph is digits_graph
    assert outcome.kept_because


def test_no_process_outlives_the_context(digits_graph):
    with Simplifier() as simplify:
        pid = simplify.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_graph_onnxsim_cannot_read_stays_as_it_is():
    text = """
    <ir_version: 10, opset_import: ["" : 18, "nowhere" : 1]>
    odd (float[batch, 3, height, width] images) => (float[batch, 3] logits) {
        logits = nowhere.Unknown(images)
    }
    """
    graph = ir.from_proto(onnx.parser.parse_model(text))
    with Simplifier() as simplify:
        outcome = simplify(graph)
    assert outcome.graph is graph
    assert "\n" not in outcome.kept_because


def test_the_worker_does_not_import_torch():
    code = (
        "import sys; sys.argv = ['worker', '8192']; import io, onnx;"
        "from export import simplify_worker; print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
