"""The bundle of the digits classifier, exported once."""

import pytest

from export.cli import main
from runtime.bundle import Bundle


@pytest.fixture(scope="session")
def digits_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "digits"
    argv = ["resnet20-digits", "--onnx", "--parity-budget", "0.001", "--quiet", "--output"]
    assert main([*argv, str(folder)]) == 0
    return Bundle.load(folder)
