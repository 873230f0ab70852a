import shutil
from pathlib import Path

import pytest

from export.training.find_data import find_data
from export.training.split import Shares
from runtime.errors import OptionError


def find(path: Path, seed: int = 0):
    return find_data(path, Shares(), seed)


def test_class_folders_are_split_alike_wherever_they_are(scans, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(scans, moved)
    data = find(scans)
    assert data.labels == ("0", "1", "2")
    assert (len(data.train), len(data.val), len(data.test)) == (84, 18, 18)
    assert data.counts() == (28, 28, 28)
    assert find(moved).digest() == data.digest()


def test_no_image_is_in_two_parts(scans):
    data = find(scans)
    paths = [image.path for image in (*data.train, *data.val, *data.test)]
    assert len(set(paths)) == len(paths) == 120


def test_another_seed_gives_another_split_of_the_same_images(scans):
    one, other = find(scans), find(scans, seed=1)
    assert one.digest() != other.digest()
    assert {image.path for image in one.train} != {image.path for image in other.train}


def test_every_image_has_the_index_of_its_folder(scans):
    data = find(scans)
    assert all(data.labels[image.label] == image.path.parent.name for image in data.train)


def lay_out(scans: Path, root: Path, parts: dict[str, list[str]]) -> Path:
    for part, labels in parts.items():
        for label in labels:
            folder = root / part / label
            folder.mkdir(parents=True)
            for image in sorted((scans / label).iterdir())[:2]:
                shutil.copy(image, folder / f"{part}-{image.name}")
    return root


def test_folders_of_parts_are_taken_as_they_are(scans, tmp_path):
    parts = {"train": ["0", "1"], "val": ["0", "1"], "test": ["1"]}
    data = find(lay_out(scans, tmp_path, parts))
    assert (len(data.train), len(data.val), len(data.test)) == (4, 4, 2)
    assert {image.label for image in data.test} == {1}
    assert "the split it came with" in data.origin


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": ["0", "1"]}, "a folder train but no folder val"),
        ({"train": ["0"], "val": ["0"]}, "only class '0' to train on; expected two"),
        ({"train": ["0", "1"], "val": ["0", "2"]}, "no image of class '2' is in train"),
        ({"one": []}, "holds no folders|no images"),
        ({".hidden": ["0", "1"]}, "holds no folders; expected one per class"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_refused_in_one_line(scans, tmp_path, parts, message):
    with pytest.raises(OptionError, match=message) as caught:
        find(lay_out(scans, tmp_path, parts))
    assert "\n" not in str(caught.value)


def test_a_class_folder_without_images_is_named(scans, tmp_path):
    lay_out(scans, tmp_path, {"a": ["0"]})
    (tmp_path / "b").mkdir()
    with pytest.raises(OptionError, match=r"no images in '.*b'"):
        find(tmp_path)


def write_csv(scans: Path, folder: Path, head: str, parts: list[str]) -> Path:
    images = [image for label in "01" for image in sorted((scans / label).iterdir())[:4]]
    lines = [head]
    for number, image in enumerate(images):
        shutil.copy(image, folder / image.name)
        part = f",{parts[number % len(parts)]}" if parts else ""
        lines.append(f"{image.name},class {image.parent.name}{part}")
    path = folder / "images.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_a_csv_file_is_split_when_it_does_not_say_how(scans, tmp_path):
    data = find(write_csv(scans, tmp_path, "path,label", []))
    assert data.labels == ("class 0", "class 1")
    assert (len(data.train), len(data.val), len(data.test)) == (4, 2, 2)
    assert all(image.path.is_file() for image in data.train)


def test_a_csv_file_that_says_how_it_is_split_is_obeyed(scans, tmp_path):
    path = write_csv(scans, tmp_path, "path,label,split", ["train", "train", "val", "test"])
    data = find(path)
    assert (len(data.train), len(data.val), len(data.test)) == (4, 2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,class\na.png,1\n", "begins with 'file,class'; expected the columns path,label"),
        (b"", "expected the columns path,label"),
        (b"path,label\na.png,\n", "line 2: expected a path and a label"),
        (b"path,label\na.png\n", "line 2: expected a path and a label"),
        (b"path,label,split\na.png,x,dev\n", "given split 'dev'; expected train, val, test"),
        (b"path,label\na.png,x\na.png,y\n", "twice; expected every image once"),
        (b"\xff\xfe\x00", "not a UTF-8 CSV file"),
        (b"path,label\n", "no images to train on"),
        (b"path,label\na.png,x\nb.png,y\n", "'x' has 1 images, too few to split"),
    ],
)
def test_a_csv_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "images.csv"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=message) as caught:
        find(path)
    assert "\n" not in str(caught.value)


def test_a_place_where_nothing_is_says_what_to_name(tmp_path):
    with pytest.raises(OptionError, match="one folder per class, or a CSV file"):
        find(tmp_path / "nothing")
