import pytest

from runtime.errors import OptionError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.ground_truth import find_truth

VALIDATION = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (3, 1, 2)]


def touch(folder, *names):
    """Make empty files, which is all that listing them needs."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def pairs(dataset):
    return [(dataset.name(each.path), each.label) for each in dataset.examples]


def test_folder_for_each_class_at_any_depth(tmp_path):
    folder = touch(tmp_path / "data", "cat/a.png", "cat/more/b.jpg", "d og/c.png", "cat/notes.txt")
    dataset = open_dataset(folder)
    assert pairs(dataset) == [
        ("cat/a.png", "cat"),
        ("cat/more/b.jpg", "cat"),
        ("d og/c.png", "d og"),
    ]
    assert dataset.labels() == ["cat", "d og"]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nx/a.png,cat\nb.png,dog\n",
        "x/a.png,cat\nb.png,dog\n",
        "\ufeffid,Label,filename\r\n1,cat,x/a.png\r\n2,dog,b.png\r\n\r\n",
        'path,label\n"x/a.png", cat\nb.png,dog',
    ],
)
def test_csv_file_of_paths_relative_to_itself(tmp_path, text):
    file = tmp_path / "list.csv"
    file.write_text(text, "utf-8")
    assert pairs(open_dataset(file)) == [("x/a.png", "cat"), ("b.png", "dog")]


def test_images_elsewhere_keep_their_absolute_path(tmp_path):
    file = touch(tmp_path / "lists") / "list.csv"
    file.parent.mkdir()
    file.write_text(f"{tmp_path}/a.png,cat\n")
    assert pairs(open_dataset(file)) == [(f"{tmp_path}/a.png", "cat")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "ILSVRC2012_validation_ground_truth.txt",
            "490\n361\n171\n",
            "n01751748 n09193705 n02105855",
        ),
        ("imagenet_2012_validation_synset_labels.txt", "n1\nn2\nn3\n", "n1 n2 n3"),
        ("val.txt", "".join(f"{n} {n[-6]}\n" for n in VALIDATION), "1 2 3"),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\n"
            + "".join(f"{n[:-5]},n0000000{n[-6]} 1 2 3 4 n09999999 1 2 3 4\n" for n in VALIDATION),
            "n00000001 n00000002 n00000003",
        ),
    ],
)
@pytest.mark.parametrize("place", ["val", "."])
def test_imagenets_flat_validation_folder_with_a_ground_truth(
    tmp_path, name, text, expected, place
):
    folder = touch(tmp_path / "val", *VALIDATION)
    (tmp_path / place / name).write_text(text)
    dataset = open_dataset(folder)
    assert sorted(pairs(dataset)) == list(zip(sorted(VALIDATION), expected.split(), strict=True))
    assert name in dataset.layout


def test_ground_truth_of_the_development_kit_is_found_where_it_is_unpacked(tmp_path):
    kit = touch(tmp_path, "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt")
    folder = touch(tmp_path / "val", *VALIDATION)
    assert find_truth(folder) == next(kit.glob("*/data/*.txt"))
    assert find_truth(touch(tmp_path / "elsewhere/val", "a.png")) is None


def test_ground_truth_of_labels_with_spaces(tmp_path):
    folder = touch(tmp_path / "val", *VALIDATION)
    truth = tmp_path / "classes.txt"
    truth.write_text("polar bear\nice cream\ncat\n")
    assert [label for _, label in sorted(pairs(open_dataset(folder, truth)))] == [
        "polar bear",
        "ice cream",
        "cat",
    ]


def refusal(*arguments):
    with pytest.raises(OptionError) as caught:
        open_dataset(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_tells_no_classes_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no images" in refusal(tmp_path / "empty")
    assert "there is no" in refusal(tmp_path / "missing")
    assert "nothing tells the class of" in refusal(touch(tmp_path / "flat", "a.png"))
    # One image beside the folders of classes is as much of a riddle.
    assert "b.png" in refusal(touch(tmp_path / "mixed", "cat/a.png", "b.png"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "names no image"),
        (b"path,label\n", "names no image"),
        (b"a.png\n", "row 1 of"),
        (b"path,label\na.png,cat\nb.png\n", "row 2 of"),
        (b"a.png,cat\n,dog\n", "row 2 of"),
        (b"a.png,cat\na.png,dog\n", "more than once"),
        (b"\xff\xfe\x00", "not a CSV file in UTF-8"),
    ],
)
def test_broken_csv_file_is_refused(tmp_path, text, words):
    file = tmp_path / "list.csv"
    file.write_bytes(text)
    assert words in refusal(file)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("truth.txt", "1\n2\n", "2 lines for 3 images"),
        ("truth.txt", f"{VALIDATION[0]} 1\nmissing.JPEG 2\n", "such as 'missing.JPEG'"),
        ("truth.csv", "a.png," + "x" * 200_000, "is not text; expected a label a line"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n0\n3\n", "expected ILSVRC ids, 1 to 1000"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\nn1\n3\n", "holds 'n1'"),
    ],
)
def test_broken_ground_truth_is_refused(tmp_path, name, text, words):
    folder = touch(tmp_path / "val", *VALIDATION)
    truth = tmp_path / name
    truth.write_text(text)
    assert words in refusal(folder, truth)


def test_missing_ground_truth_is_refused(tmp_path):
    folder = touch(tmp_path / "val", *VALIDATION)
    assert "cannot read the ground truth" in refusal(folder, tmp_path / "none.txt")
    (tmp_path / "list.csv").write_text("a.png,cat\n")
    assert "--truth is for a folder" in refusal(tmp_path / "list.csv", tmp_path / "none.txt")


def test_limit_spreads_over_the_whole_list(tmp_path):
    folder = touch(tmp_path, *(f"{c}/{n}.png" for c in "abcd" for n in range(10)))
    dataset = open_dataset(folder)
    assert [each.label for each in dataset.limited(4).examples] == ["a", "b", "c", "d"]
    assert dataset.limited(0) == dataset
    assert dataset.limited(99) == dataset
    assert len(dataset.limited(7).examples) == 7
