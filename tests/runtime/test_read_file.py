import os
import subprocess
from pathlib import Path

import pytest

from calibration.keys import DataKey
from calibration.ranges_file import RangesFile
from export.training.find_data import find_data
from export.training.split import Shares
from export.verdict.read_gates import read_gates
from runtime.benchmark.document import Benchmark
from runtime.errors import DeployError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.ground_truth import read_truth
from runtime.read_file import read_file
from runtime.read_labels import read_labels
from runtime.results_file import read_results
from runtime.serving.read_token import read_token

READERS = {
    "labels": lambda path: read_labels(path, 1000),
    "labelled images": open_dataset,
    "ground truth": lambda path: read_truth(path, []),
    "token": read_token,
    "results": lambda path: read_results(path, Benchmark, 1, "bench BUNDLE"),
    "gates": read_gates,
    "training data": lambda path: find_data(path, Shares(), 0),
    "ranges": lambda path: RangesFile.load(path, DataKey(images="", method="")),
}


def test_pipe_is_read_to_its_end():
    with subprocess.Popen(["seq", "100000"], stdout=subprocess.PIPE) as numbers:
        data = read_file(Path(f"/dev/fd/{numbers.stdout.fileno()}"))
    assert data.splitlines()[-1] == b"100000"


def test_device_without_an_end_is_refused():
    with pytest.raises(OSError, match="holds more than 128 MiB"):
        read_file(Path("/dev/zero"))


@pytest.mark.parametrize("kind", READERS)
def test_what_a_person_names_is_not_read_without_a_bound(kind, tmp_path):
    path = tmp_path / "given.csv"
    path.touch()
    os.truncate(path, 129 << 20)  # sparse: it takes no room on the disk
    with pytest.raises(DeployError, match=r"given\.csv'.*holds more than 128 MiB") as caught:
        READERS[kind](path)
    assert "\n" not in str(caught.value)
