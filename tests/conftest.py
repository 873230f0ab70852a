"""What holds for all tests."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# A shell's background job ignores Ctrl-C, and what tests start to interrupt it would do so, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

SEED = int(os.environ.get("TEST_SEED", "0"))

# A busy machine is no fault of the code: examples may take as long as they take. They are the same
# on every run, unless a seed asks for others.
settings.register_profile(
    "patient",
    deadline=None,
    derandomize=SEED == 0,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


_DIES = """
import os, runpy, sys
moved = []

def watch(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith({ending!r}):
        moved.append(event)
        if len(moved) == 3:
            os.kill(os.getpid(), 9)

sys.addaudithook(watch)
sys.argv = sys.argv[1:]
"""


@pytest.fixture(scope="session")
def dies_at_third():
    """Code of a process that is killed when it would save a file of this ending a third time.

    What it is to do until then finds its arguments in sys.argv, the first included.
    """
    return lambda ending, then: _DIES.format(ending=ending) + then


def _seed() -> None:
    # Whoever draws has imported torch; importing it for the others would cost them seconds.
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Fixtures draw the same numbers whoever asks for them first."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """A test draws the same numbers alone and in any order: one that fails, fails again."""
    _seed()
