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
