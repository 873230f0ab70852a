"""The comparison of quantizers: each contestant writes a graph and tells its seconds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime.bundle import Bundle

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "compare_quantizers", SCRIPTS / "compare_quantizers.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def arena(script, graph, bundle_of, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arena")
    (folder / "data").mkdir()
    for part in ("train", "test"):
        (folder / "data" / part).symlink_to(digits)
    return script.prepare(
        script.Arena(bundle=Bundle.load(bundle_of(graph)), folder=folder, images=40)
    )


@pytest.mark.parametrize("name", ["ours recipe tensorrt", "onnxruntime MinMax uint8"])
def test_a_contestant_is_judged_with_its_seconds_and_memory(script, arena, name):
    [contestant] = [each for each in script.contestants("", "") if each.name == name]
    outcome = script.compete(contestant, arena, script.Jury(arena))
    assert outcome.error == ""
    assert 15 < outcome.sqnr_db < 60
    assert outcome.agreement > 0.9
    assert outcome.drop_points is None  # folders that are no classes
    assert 0 < outcome.seconds < 60
    assert outcome.peak_mib > 50


def test_who_cannot_take_part_is_said(script, arena):
    absent = [each for each in script.contestants("", "") if each.name in ("NNCF", "ModelOpt max")]
    outcomes = [script.compete(contestant, arena, jury=None) for contestant in absent]
    table = script.show(outcomes)
    assert "NNCF: no Python that has it was named" in table
    assert "ModelOpt max: no Python that has it was named" in table


def test_a_peer_writes_a_quantized_model_without_this_project(arena, tmp_path):
    output = tmp_path / "quantized.onnx"
    command = [sys.executable, "-P", SCRIPTS / "quantize_with_peer.py", "onnxruntime MinMax int8"]
    run = subprocess.run(
        [*command, arena.model, arena.folder / "images.npy", output], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    kinds = {node.op_type for node in onnx.load(output).graph.node}
    assert "QuantizeLinear" in kinds
    assert len(np.load(arena.folder / "images.npy")) == 40
