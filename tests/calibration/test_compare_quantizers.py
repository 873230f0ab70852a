"""The comparison of quantizers: each contestant writes a graph and tells its seconds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from scripts import compare_quantizers

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def arena(graph, bundle_of, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arena")
    for part in ("train", "test"):
        (folder / part).symlink_to(digits)
    arena = compare_quantizers.Arena(bundle=bundle_of(graph), data=folder, images=40, folder=folder)
    arena.save_images()
    return arena


def one_of(name):
    return next(each for each in compare_quantizers.contestants("", "") if each.name == name)


@pytest.mark.parametrize("name", ["recipe tensorrt", "onnxruntime MinMax uint8"])
def test_a_contestant_is_judged_with_its_seconds_and_memory(arena, name):
    line = compare_quantizers.compete(one_of(name), arena, compare_quantizers.Jury(arena))
    assert len(line) == 6, line
    shown, sqnr_db, drop, agreement, seconds, peak_mib = line
    assert shown.endswith(name)
    assert drop == "-"  # folders that are no classes
    assert 15 < float(sqnr_db) < 60
    assert float(agreement) > 90
    assert 0 < float(seconds) < 600
    assert float(peak_mib) > 50


def test_the_memory_told_is_not_that_of_the_process_that_asks(arena):
    asks = np.ones(2**27)  # 1 GiB, which a peak of getrusage would begin with
    _, peak_mib = one_of("plain cpu").quantize(arena, arena.folder / "plain.onnx")
    assert peak_mib < asks.nbytes / 2**20


def test_who_cannot_take_part_is_said(arena):
    lines = [
        compare_quantizers.compete(one_of(name), arena, None) for name in ("NNCF", "ModelOpt max")
    ]
    assert "NNCF: no Python that has it was named" in compare_quantizers.show(lines)
    assert "ModelOpt max: no Python that has it was named" in compare_quantizers.show(lines)


def test_who_fails_is_said_with_the_last_line_of_its_error(arena):
    absent = compare_quantizers.Arena(
        bundle=arena.bundle, data=arena.data / "none", images=40, folder=arena.folder
    )
    name, error = compare_quantizers.compete(one_of("plain cpu"), absent, None)
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
