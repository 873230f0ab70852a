"""The comparison of quantizers: each contestant writes a graph and tells its seconds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

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
    for part in ("train", "test"):
        (folder / part).symlink_to(digits)
    arena = script.Arena(bundle=bundle_of(graph), data=folder, images=40, folder=folder)
    arena.save_images()
    return arena


def one_of(script, name):
    return next(each for each in script.contestants("", "") if each.name == name)


@pytest.mark.parametrize("name", ["recipe tensorrt", "onnxruntime MinMax uint8"])
def test_a_contestant_is_judged_with_its_seconds_and_memory(script, arena, name):
    line = script.compete(one_of(script, name), arena, script.Jury(arena))
    assert len(line) == 6, line
    shown, sqnr_db, drop, agreement, seconds, peak_mib = line
    assert shown.endswith(name)
    assert drop == "-"  # folders that are no classes
    assert 15 < float(sqnr_db) < 60
    assert float(agreement) > 90
    assert 0 < float(seconds) < 600
    assert float(peak_mib) > 50


def test_the_memory_told_is_not_that_of_the_process_that_asks(script, arena):
    asks = np.ones(2**27)  # 1 GiB, which a peak of getrusage would begin with
    _, peak_mib = one_of(script, "plain cpu").quantize(arena, arena.folder / "plain.onnx")
    assert peak_mib < asks.nbytes / 2**20


def test_who_cannot_take_part_is_said(script, arena):
    lines = [script.compete(one_of(script, name), arena, None) for name in ("NNCF", "ModelOpt max")]
    assert "NNCF: no Python that has it was named" in script.show(lines)
    assert "ModelOpt max: no Python that has it was named" in script.show(lines)


def test_who_fails_is_said_with_the_last_line_of_its_error(script, arena):
    absent = script.Arena(
        bundle=arena.bundle, data=arena.data / "none", images=40, folder=arena.folder
    )
    name, error = script.compete(one_of(script, "plain cpu"), absent, None)
    assert (name, "none" in error) == ("ours plain cpu", True)


def test_a_peer_writes_a_quantized_model_without_this_project(arena, tmp_path):
    output = tmp_path / "quantized.onnx"
    command = [sys.executable, "-P", SCRIPTS / "quantize_with_peer.py", "onnxruntime MinMax int8"]
    run = subprocess.run(
        [*command, arena.bundle / "model.onnx", arena.folder / "images.npy", output],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    kinds = {node.op_type for node in onnx.load(output).graph.node}
    assert "QuantizeLinear" in kinds
    assert len(np.load(arena.folder / "images.npy")) == 40
