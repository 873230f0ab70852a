import signal
import subprocess
import sys

import numpy as np
import onnx_ir as ir
import pytest

from calibration.checkpoint import Checkpoint
from calibration.cli import main
from calibration.images import ImageRecord, choose_images
from calibration.measure import Measurement
from calibration.observers import Histogram
from calibration.resume import SavePoint, measure_files
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

SPEC = ImageSpec(resize=112, crop=112, mean=(0.5,), std=(0.2,), channels="L")
TENSORS = ("pool", "conv2")
QUIET = Screen(quiet=True)


def a_checkpoint(key: str = "key") -> Checkpoint:
    histograms = [Histogram() for _ in range(4)]
    for index, histogram in enumerate(histograms[1:]):  # one has seen nothing
        histogram.see(np.linspace(-index, 3, 50, dtype=np.float32))
    halves = tuple(
        Measurement(histograms=dict(zip(TENSORS, part, strict=True)), images=images)
        for part, images in ((histograms[:2], 5), (histograms[2:], 4))
    )
    records = [ImageRecord(name="a.png", sha256="1", width=8), ImageRecord(name="b", sha256="")]
    logits = [np.ones((3, 2), np.float32), np.zeros((1, 2), np.float32)]
    return Checkpoint(key=key, halves=halves, records=records, logits=logits)


def test_a_checkpoint_comes_back_as_it_was_and_counts_on(tmp_path):
    saved = a_checkpoint()
    saved.save(tmp_path / "part")
    loaded = Checkpoint.load(tmp_path / "part", "key")
    assert loaded.records == saved.records
    assert np.array_equal(np.concatenate(loaded.logits), np.concatenate(saved.logits))
    for half, original in zip(loaded.halves, saved.halves, strict=True):
        assert half.images == original.images
        assert tuple(half.histograms) == TENSORS
        for name in TENSORS:
            ours, theirs = half.histograms[name], original.histograms[name]
            for histogram in (ours, theirs):
                histogram.see(np.array([-40.0], np.float32))
            assert np.array_equal(ours.counts, theirs.counts)
            assert (ours.exponent, ours.lowest, ours.highest) == (
                theirs.exponent,
                theirs.lowest,
                theirs.highest,
            )


def test_a_checkpoint_of_something_else_is_not_taken_up(tmp_path):
    a_checkpoint("other").save(tmp_path / "part")
    assert Checkpoint.load(tmp_path / "part", "key") is None
    assert Checkpoint.load(tmp_path / "missing", "key") is None


@pytest.mark.parametrize("damage", [b"", b"no archive", lambda data: data[: len(data) // 2]])
def test_a_damaged_checkpoint_is_not_taken_up(tmp_path, damage):
    path = tmp_path / "part"
    a_checkpoint().save(path)
    path.write_bytes(damage if isinstance(damage, bytes) else damage(path.read_bytes()))
    assert Checkpoint.load(path, "key") is None


def test_a_measurement_that_goes_on_has_the_logits_of_all_images(graph, digits, tmp_path):
    of_eight = graph.clone()
    of_eight.graph.inputs[0].shape = ir.Shape([8, 1, "height", "width"])
    files, _ = choose_images(digits, 60)
    save_point = SavePoint(path=tmp_path / "part", key="key", files=16)
    whole = measure_files(of_eight, SPEC, files, save_point, QUIET)
    assert 0 < len(Checkpoint.load(save_point.path, "key").records) < 60  # saved under way
    gone_on = measure_files(of_eight, SPEC, files, save_point, QUIET)
    assert len(np.concatenate(whole.logits)) == 60
    assert np.array_equal(np.concatenate(gone_on.logits), np.concatenate(whole.logits))


def test_a_killed_calibration_goes_on_and_ends_with_the_same_ranges(
    graph, bundle_of, cells, dies_at_third, tmp_path, capsys
):
    def arguments(output) -> list[str]:
        options = ["--images", "600", "--method", "mse", "--output", str(output)]
        return [str(bundle), "--data", str(cells), *options]

    bundle = bundle_of(graph, SPEC)
    killed, whole = tmp_path / "killed.json", tmp_path / "whole.json"
    code = dies_at_third(".part", "from calibration.cli import main; main(sys.argv)")
    died = subprocess.run([sys.executable, "-c", code, *arguments(killed)])
    assert died.returncode == -signal.SIGKILL
    assert not killed.exists()
    assert main(arguments(killed)) == 0
    assert "going on after 256 images" in capsys.readouterr().err
    assert main(arguments(whole)) == 0
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.json", "whole.json"]
