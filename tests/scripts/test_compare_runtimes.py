import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from export.cli import main

ROOT = Path(__file__).parents[2]


def run(*words):
    command = [sys.executable, "scripts/compare_runtimes.py", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Return the folder of the digits classifier, exported."""
    folder = tmp_path_factory.mktemp("exported") / "digits"
    assert main(["resnet20-digits", "--onnx", "--parity-budget", "0", "--output", str(folder)]) == 0
    return folder


def test_contestants_and_every_variant_run_in_turn(bundle):
    words = ("--batch", 2, "--threads", 1, "--seconds", 0.05, "--json")
    found = run(bundle, *words, "--contestant", "PyTorch eager", "--contestant", "ONNX Runtime")
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)["resnet20-digits"]
    openvino = importlib.util.find_spec("onnxruntime_ep_openvino") is not None
    ours = ["ours, fp32", *(["ours, fp32 on openvino"] if openvino else [])]
    assert [row["name"] for row in rows] == ["PyTorch eager", "ONNX Runtime", *ours]
    assert openvino or "left out: provider 'openvino': its package is not" in found.stderr
    assert all(row["ms"] > 0 and row["peak_mib"] > 30 for row in rows)


def test_unknown_contestant_is_one_line(bundle):
    found = run(bundle, "--contestant", "Abacus")
    assert found.returncode == 1
    assert found.stderr.startswith("no contestant 'Abacus'; there are PyTorch eager, ")
