"""Busy cores: what others do now, not what was done in the last minute."""

import os
import subprocess
import sys

import pytest

from runtime.benchmark.busy_cores import busy_cores

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


COMPUTING = "print(flush=True)\nwhile True: pass"


@needs_linux
def test_a_process_that_computes_is_seen():
    with subprocess.Popen([sys.executable, "-c", COMPUTING], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = busy_cores(0.5)
        child.kill()
    # Loosely: a machine may be given less than a core, and each core counts in hundredths.
    assert 0.4 < found <= 1.1 * os.cpu_count() + 0.1
