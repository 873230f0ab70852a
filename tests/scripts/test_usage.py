"""Scripts that others start tell a person who starts them what they take."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("words", [[], ["--help"], ["magic", "a", "b", "c"], ["{}"]], ids=str)
@pytest.mark.parametrize("script", ["quantize_with_ours", "quantize_with_peer", "run_peer"])
def test_what_a_script_cannot_take_is_answered_by_one_line_of_usage(script, words):
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *words]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"usage: {script}.py ")
    assert found.stderr.count("\n") == 1
