"""A bundle of every precision and labelled scans to judge it by, made once."""

import pytest

from export.cli import main


@pytest.fixture(scope="session")
def scans(write_scans, tmp_path_factory):
    """160 scans to calibrate on and 120 others to judge by, in a folder for each class."""
    folder = tmp_path_factory.mktemp("digits")
    write_scans(folder / "train", range(160))
    write_scans(folder / "test", range(160, 280))
    return folder


@pytest.fixture(scope="session")
def bundle(scans, tmp_path_factory):
    """The digits classifier in float32, float16 and int8."""
    folder = tmp_path_factory.mktemp("artifacts") / "digits"
    words = ["resnet20-digits", "--onnx", "--precision", "fp32", "fp16", "int8"]
    words += ["--calibration-data", str(scans / "train"), "--calibration-images", "64"]
    words += ["--parity-budget", "0", "--output", str(folder), "--quiet"]
    assert main(words) == 0
    return folder
