import gc
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.onnx_runner import OnnxRunner
from runtime.snapshot import Snapshot

SNAPSHOT = "/memfd:snapshot (deleted)"
CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def original(tmp_path):
    (tmp_path / "model").write_bytes(CONTENT)
    return tmp_path / "model"


def open_snapshots():
    """Return how many there are; what others close meanwhile does not matter."""
    gc.collect()
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    return [os.readlink(each) for each in links if os.path.islink(each)].count(SNAPSHOT)


def test_snapshot_holds_the_bytes_of_the_file(original):
    with original.open("rb") as file:
        snapshot = Snapshot(file, len(CONTENT))
    assert snapshot.view() == CONTENT
    snapshot.close()


@pytest.mark.skipif(sys.platform != "linux", reason="without a file in memory it holds bytes")
def test_snapshot_can_be_loaded_by_path_as_long_as_it_is_open(original):
    before = open_snapshots()
    with original.open("rb") as file:
        snapshot = Snapshot(file, len(CONTENT))
    path = snapshot.source
    assert isinstance(path, Path)
    assert path.read_bytes() == CONTENT
    snapshot.close()
    assert not path.exists()
    assert open_snapshots() == before


def test_what_becomes_of_the_file_does_not_touch_the_snapshot(original):
    with original.open("r+b") as file:
        snapshot = Snapshot(file, len(CONTENT))
        file.write(b"overwritten in place")
        file.truncate(50)
    original.unlink()
    assert snapshot.view() == CONTENT
    snapshot.close()


def test_view_outlives_the_snapshot(original):
    with original.open("rb") as file:
        snapshot = Snapshot(file, len(CONTENT))
    view = snapshot.view()
    snapshot.close()
    snapshot.close()
    assert view == CONTENT


def test_forgotten_snapshot_is_closed(original):
    before = open_snapshots()
    with original.open("rb") as file:
        snapshot = Snapshot(file, len(CONTENT))
    if snapshot.source != CONTENT:
        assert open_snapshots() == before + 1
    del snapshot
    assert open_snapshots() == before


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_what_the_kernel_cannot_copy_is_held_as_bytes(content):
    snapshot = Snapshot(io.BytesIO(content), len(content))  # a file without a descriptor
    assert snapshot.source == content
    assert snapshot.view() == content


def test_file_that_is_shorter_than_expected_is_not_filled_up(original):
    with original.open("rb") as file:
        assert Snapshot(file, len(CONTENT) + 1).view() == CONTENT


def test_runner_keeps_what_it_loaded_after_the_snapshot_is_gone(tiny_bundle):
    with (tiny_bundle.folder / "model.onnx").open("rb") as file:
        snapshot = Snapshot(file, tiny_bundle.manifest.files["model.onnx"].size)
    runner = OnnxRunner.open(snapshot.source)
    snapshot.close()
    assert runner.name == "onnxruntime cpu"


def test_altered_file_leaves_no_snapshot_open(tiny_folder):
    data = bytearray((tiny_folder / "model.onnx").read_bytes())
    data[-1] ^= 1
    (tiny_folder / "model.onnx").write_bytes(data)
    before = open_snapshots()
    with ThreadPoolExecutor(1) as pool, pytest.raises(BundleError, match="was altered"):
        Bundle.load(tiny_folder).start_snapshot("model.onnx", pool)()
    assert open_snapshots() == before
