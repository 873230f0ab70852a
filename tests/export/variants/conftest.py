"""Scans of digits in class folders, and a bundle of every precision that was made with them."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from export.cli import main
from runtime.bundle import Bundle


@pytest.fixture(scope="session")
def scans(write_scans, tmp_path_factory):
    """Folders "calibration" of 120 scans and "judged" of 100 others."""
    folder = tmp_path_factory.mktemp("scans")
    write_scans(folder / "calibration", range(120))
    write_scans(folder / "judged", range(1000, 1100))
    return folder


@pytest.fixture(scope="session")
def export_digits():
    """Runs the command line on the digits classifier and returns its exit status."""

    def run(folder: Path, *words) -> int:
        fixed = ("resnet20-digits", "--onnx", "--parity-budget", "0", "--output", folder)
        return main([str(word) for word in (*fixed, *words)])

    return run


@pytest.fixture(scope="session")
def published(export_digits, scans, tmp_path_factory):
    """The bundle of every precision; no test changes it."""
    folder = tmp_path_factory.mktemp("artifacts") / "digits"
    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    asked = ("--precision", "fp32", "fp16", "int8", "--method", "minmax", "--quiet")
    assert export_digits(folder, *asked, *data) == 0
    return folder


@pytest.fixture
def replace_model(published, tmp_path):
    """Puts another model of a variant into a copy of the bundle, and into its manifest."""

    def replace(variant: str, data: bytes) -> Bundle:
        folder = Path(shutil.copytree(published, tmp_path / "bundle"))
        manifest = json.loads((folder / "manifest.json").read_text())
        name = manifest["variants"][variant]["file"]
        (folder / name).write_bytes(data)
        manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return Bundle.load(folder)

    return replace
