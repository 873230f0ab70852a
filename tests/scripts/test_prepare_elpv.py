import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from export.training.find_data import find_data
from export.training.split import Shares
from scripts import prepare_elpv

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_elpv.py"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """The two-class folders, as the command line makes them, and what it printed."""
    folder = tmp_path_factory.mktemp("elpv") / "new" / "elpv"
    command = [sys.executable, "-W", "error", SCRIPT, folder, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    yield folder, json.loads(run.stdout)
    shutil.rmtree(folder)  # 92 MB


@pytest.fixture(scope="module")
def cells():
    return prepare_elpv.find_cells()


def test_all_photographs_are_there_once_in_train_val_and_test(laid_out):
    folder, document = laid_out
    found = Counter(tuple(p.relative_to(folder).parts[:2]) for p in folder.glob("*/*/*.png"))
    assert found == {
        ("train", "functional"): 1261,
        ("train", "defective"): 575,
        ("val", "functional"): 181,
        ("val", "defective"): 82,
        ("test", "functional"): 361,
        ("test", "defective"): 164,
    }
    assert document["images"]["defective"] == [575, 82, 164]
    assert len({path.name for path in folder.glob("*/*/*.png")}) == 2624


def test_photographs_are_copied_as_they_are(laid_out, cells):
    folder, _ = laid_out
    for cell in cells[::500]:
        [copy] = folder.glob(f"*/*/{cell.image.name}")
        assert copy.read_bytes() == cell.image.read_bytes()
        with Image.open(copy) as image:
            assert (image.size, image.mode) == ((300, 300), "L")


def test_the_table_tells_of_every_photograph_and_is_a_data_set_itself(laid_out):
    folder, _ = laid_out
    rows = list(csv.DictReader((folder / "split.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 2624
    assert all((folder / row["path"]).is_file() for row in rows)
    assert all(row["path"].startswith(f"{row['split']}/{row['label']}/") for row in rows)
    by_table = find_data(folder / "split.csv", Shares(), 0)
    by_folder = find_data(folder, Shares(), 0)
    assert by_table.labels == by_folder.labels == ("defective", "functional")
    assert sorted(map(str, by_table.test)) == sorted(map(str, by_folder.test))


def test_the_licence_lies_beside_the_photographs(laid_out):
    assert "NonCommercial" in (laid_out[0] / "LICENSE.md").read_text("utf-8")


def test_a_cell_is_defective_if_that_is_more_likely_than_not(cells):
    two = {cell.percent: prepare_elpv.name_class(cell, 2) for cell in cells}
    assert two == {0: "functional", 33: "functional", 67: "defective", 100: "defective"}


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (4, ["defect-000", "defect-033", "defect-067", "defect-100"]),
        (8, [f"{kind}-{p}" for kind in ("mono", "poly") for p in ("000", "033", "067", "100")]),
    ],
)
def test_four_classes_are_the_probabilities_and_eight_the_types_as_well(cells, classes, names):
    assert sorted({prepare_elpv.name_class(cell, classes) for cell in cells}) == names


def test_the_split_is_fixed_and_the_same_for_any_number_of_classes(cells):
    parts = prepare_elpv.split_cells(cells)
    test = sorted(c.image.name for c, part in zip(cells, parts, strict=True) if part == "test")
    digest = hashlib.sha256(" ".join(test).encode()).hexdigest()
    assert digest.startswith("37dc2c1f87ed6896")
    strata = Counter(
        (cell.kind, cell.percent, part) for cell, part in zip(cells, parts, strict=True)
    )
    assert strata["poly", 67, "test"] == 10
    assert strata["mono", 0, "test"] == 118


def test_a_folder_that_exists_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert prepare_elpv.main([str(tmp_path)]) == 2
    assert "exists; remove it, or choose another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("classes", ["3", "two"])
def test_other_numbers_of_classes_are_refused_in_one_line(tmp_path, capsys, classes):
    assert prepare_elpv.main([str(tmp_path / "new"), "--classes", classes]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert prepare_elpv.main([str(tmp_path / "file" / "new")]) == 2
    assert "error: cannot write" in capsys.readouterr().err
