import argparse
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.checkpoint import METADATA_KEY, TrainedModel, read_checkpoint, write_checkpoint
from runtime.errors import CheckpointError
from runtime.image_spec import ImageSpec

WEIGHTS = OrderedDict(
    {"fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.tensor([0.5, -1.0])}
)
TRAINED = TrainedModel(
    model="cifar_resnet20",
    classes=2,
    labels=("sound", "cracked"),
    image=ImageSpec(resize=36, crop=32, mean=(0.5,), std=(0.25,), channels="L"),
    top1=97.5,
    notes={"data": "a folder", "seed": "7"},
)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_weights_saved_by_torch_are_read(tmp_path, suffix: str, is_zip) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=is_zip)
    checkpoint = read_checkpoint(path)
    assert equal(checkpoint.weights, WEIGHTS)
    assert checkpoint.metadata is None


def test_weights_saved_by_safetensors_are_read_whatever_the_file_is_called(tmp_path) -> None:
    path = tmp_path / "weights.pth"
    safetensors.torch.save_file(dict(WEIGHTS), path)
    checkpoint = read_checkpoint(path)
    assert equal(dict(sorted(checkpoint.weights.items())), dict(sorted(WEIGHTS.items())))
    assert checkpoint.metadata is None


def test_what_is_written_is_read_back(tmp_path) -> None:
    path = tmp_path / "new folder" / "trained.safetensors"
    write_checkpoint(path, WEIGHTS, TRAINED)
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == TRAINED
    assert equal(dict(sorted(checkpoint.weights.items())), dict(sorted(WEIGHTS.items())))
    assert os.listdir(path.parent) == [path.name]


def test_equal_content_gives_equal_bytes_and_replaces_what_was_there(tmp_path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    second.write_bytes(b"something older")
    strided = {**WEIGHTS, "fc.weight": WEIGHTS["fc.weight"].T.contiguous().T}
    write_checkpoint(first, WEIGHTS, TRAINED)
    write_checkpoint(second, strided, TRAINED)
    assert first.read_bytes() == second.read_bytes()


def test_a_destination_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"cannot write weights to '.*taken': Is a directory"):
        write_checkpoint(tmp_path / "taken", WEIGHTS, TRAINED)
    with pytest.raises(CheckpointError, match=r"cannot write weights to '.*w': File exists"):
        write_checkpoint(tmp_path / "file" / "w", WEIGHTS, TRAINED)
    assert sorted(os.listdir(tmp_path)) == ["file", "taken"]


def test_labels_that_do_not_match_the_classes_are_refused() -> None:
    with pytest.raises(CheckpointError, match="2 labels for 3 classes"):
        replace(TRAINED, classes=3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"classes": "2"}, 'metadata: classes: given "2"; expected int'),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"image": {}}, "lacks 'crop'"),
        ({"image": {"resize": 0, "crop": 8, "mean": [0], "std": [1]}}, "expected 1 to 8192"),
        ({"labels": ["one"]}, "1 labels for 2 classes"),
    ],
)
def test_metadata_that_is_not_what_it_should_be_is_refused(tmp_path, change, expected) -> None:
    write_checkpoint(tmp_path / "w.safetensors", WEIGHTS, TRAINED)
    with safetensors.safe_open(tmp_path / "w.safetensors", "pt") as file:
        document = {**json.loads(file.metadata()[METADATA_KEY]), **change}
    safetensors.torch.save_file(
        dict(WEIGHTS), tmp_path / "w.safetensors", {METADATA_KEY: json.dumps(document)}
    )
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(tmp_path / "w.safetensors")
    assert expected in str(raised.value)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, protocol) -> None:
    bomb = Bomb(tmp_path / "exploded")
    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps({"fc.weight": bomb}, protocol=protocol))
    assert "it would run 'posix.mkdir'" in refusal(path)
    assert not bomb.folder.exists()
    pickle.loads(path.read_bytes())  # it is a bomb
    assert bomb.folder.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_tensors_that_pickle_wrote_are_refused_by_what_would_read_them(tmp_path, protocol) -> None:
    path = tmp_path / "pickled.pth"
    path.write_bytes(pickle.dumps(WEIGHTS, protocol=protocol))
    message = refusal(path)
    assert "it would run 'torch.storage._load_from_bytes'" in message
    assert "as torch.save(model.state_dict(), ...) writes them" in message


def test_options_beside_the_weights_are_read_over(tmp_path) -> None:
    document = {"model": WEIGHTS, "args": argparse.Namespace(lr=0.1, data="/data"), "epoch": 3}
    torch.save(document, tmp_path / "weights.pth")
    assert equal(read_checkpoint(tmp_path / "weights.pth").weights, WEIGHTS)


def test_a_bomb_inside_a_torch_file_is_refused_by_name(tmp_path) -> None:
    torch.save({**WEIGHTS, "extra": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pth")
    assert "it would run 'posix.mkdir'" in refusal(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


def test_a_pickled_module_is_refused_by_name(tmp_path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    message = refusal(tmp_path / "module.pth")
    assert "it would run 'torch.nn.modules.linear.Linear'" in message
    assert "model.state_dict()" in message


def test_a_torchscript_archive_is_refused_without_a_warning(tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "TorchScript" in refusal(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "torch.save did not write it"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{not json at all", "damaged"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "damaged"),
        (b"PK\x03\x04", "damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, content, expected) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    assert expected in refusal(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([torch.zeros(2)], "a value of type list"),
        ({}, "nothing"),
        ({"fc.weight": torch.zeros(2), "epoch": 3}, "a value of type int under 'epoch'"),
        ({3: torch.zeros(2)}, "under '3'"),
        (torch.zeros(2), "layout torch.strided"),
        ({"fc.weight": torch.eye(2).to_sparse()}, "layout torch.sparse_coo"),
        ({"fc.weight": torch.empty(2, device="meta")}, "on meta"),
    ],
)
def test_anything_but_named_tensors_is_refused_by_what_it_is(tmp_path, document, expected) -> None:
    torch.save(document, tmp_path / "weights.pth")
    assert expected in refusal(tmp_path / "weights.pth")


def test_a_path_that_is_no_file_is_one_line(tmp_path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "No such file or directory" in refusal(tmp_path / "missing.pth")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("written")
    torch.save(WEIGHTS, folder / "zip")
    torch.save(WEIGHTS, folder / "legacy", _use_new_zipfile_serialization=False)
    write_checkpoint(folder / "safetensors", WEIGHTS, TRAINED)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_checkpoint_cut_short_anywhere_is_refused(tmp_path, written, kind: str) -> None:
    path = tmp_path / "cut.pth"
    for length in range(1, len(written[kind]), 7):
        path.write_bytes(written[kind][:length])
        assert "damaged" in (message := refusal(path)) or "refused" in message


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_in_one_line(
    tmp_path, written, kind: str, position: float, value: int
) -> None:
    data = bytearray(written[kind])
    data[int(position * len(data))] = value
    path = tmp_path / "changed.pth"
    path.write_bytes(data)
    message = ""
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    assert "\n" not in message


def test_reading_needs_neither_torchvision_nor_sklearn() -> None:
    code = "import export.load, sys; print({'torchvision', 'sklearn', 'onnx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
