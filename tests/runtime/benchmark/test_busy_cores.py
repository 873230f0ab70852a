"""Busy cores: what others do now, not what was done in the last minute."""

import os
import subprocess
import sys

import pytest

from runtime.benchmark.busy_cores import busy_cores

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@needs_linux
def test_a_process_that_computes_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        found = busy_cores(0.5)
        child.kill()
    assert 0.4 < found <= os.cpu_count() + 0.5
