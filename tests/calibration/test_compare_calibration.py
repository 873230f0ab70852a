import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_calibration.py"


@pytest.mark.parametrize("contestant", ["ours mse", "onnxruntime MinMax"])
def test_a_contestant_goes_over_the_images_and_tells_its_seconds(
    contestant, graph, bundle_of, digits
):
    command = [sys.executable, SCRIPT, bundle_of(graph), digits, "--images", "12"]
    run = subprocess.run([*command, "--only", contestant], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 0 < float(run.stdout) < 60
