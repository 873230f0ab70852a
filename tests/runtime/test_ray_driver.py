"""What becomes of a driver that ends, and of one whose starter does; none of them needs Ray."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from runtime.errors import BackendError, OptionError
from runtime.ray_driver import RayDriver
from runtime.scoring.inputs import Inputs
from runtime.scoring.partition import Partition
from runtime.scoring.read_inputs import read_inputs

ROOT = Path(__file__).parents[2]


def test_answers_come_one_after_another_and_the_error_that_ended_the_work_is_raised(tmp_path):
    (tmp_path / "lines").write_text("one\ntwo\n")
    with RayDriver(partial(open, tmp_path / "lines")) as driver:
        assert [driver.ask(), driver.ask()] == ["one\n", "two\n"]
        driver.check()
    lost = Partition(number=0, file=str(tmp_path / "lost"), first=0, rows=1, start=0)
    inputs = Inputs(files=(), column="path", holds="paths", name_column="", sha256="")
    with (
        RayDriver(partial(read_inputs, lost, inputs, "")) as driver,
        pytest.raises(OptionError, match="lost' cannot be read"),
    ):
        driver.ask()


def test_error_that_is_none_of_ours_is_told_in_a_line(tmp_path):
    (tmp_path / "lines").write_text("é")
    with (
        RayDriver(partial(open, tmp_path / "lines", encoding="ascii")) as driver,
        pytest.raises(BackendError, match=r"the work on Ray failed \(UnicodeDecodeError: 'ascii"),
    ):
        driver.ask()


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (partial(os._exit, 1), r"\(status 1\)"),  # as Ray does
        (partial(os.abort), r"\(status -6\)"),
    ],
)
def test_driver_that_ends_before_its_time_is_an_error(work, reason):
    with RayDriver(work) as driver:
        with pytest.raises(BackendError, match=f"the process that uses Ray ended {reason}; was"):
            driver.ask()
        with pytest.raises(BackendError, match="ended"):
            driver.check()


STARTER = """
import time
from functools import partial
from runtime.ray_driver import RayDriver

driver = RayDriver(partial(time.sleep, 600))
print(driver._process.pid, flush=True)
driver.ask()
"""


def lives(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_driver_does_not_outlive_who_started_it(number):
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as starter:
        driver = int(starter.stdout.readline())
        assert lives(driver)
        starter.send_signal(number)
    deadline = time.monotonic() + 60
    while lives(driver):
        assert time.monotonic() < deadline
        time.sleep(0.01)
