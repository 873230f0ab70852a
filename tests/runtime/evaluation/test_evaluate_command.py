import dataclasses
import json
import shutil

import pytest

from runtime.cli import main
from runtime.evaluation.document import Evaluation, read_evaluation
from runtime.schema import decode


@pytest.fixture
def folder(varied_bundle, tmp_path):
    """Return the folder of a bundle beside which results may be written."""
    return shutil.copytree(varied_bundle.folder, tmp_path / "tiny")


@pytest.fixture
def data(drawn, tmp_path):
    """Return a folder for each of two classes."""
    for number, image in enumerate(drawn):
        place = tmp_path / "data" / ("bee" if number % 3 else "猫")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    return tmp_path / "data"


def evaluate(folder, data, *words):
    return main(["evaluate", str(folder), "--data", str(data), *map(str, words)])


def test_table_shows_every_variant_and_what_changed(folder, data, capsys):
    assert evaluate(folder, data) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["fp32", "fp16", "int8.cpu"]
    assert any(line.startswith("int8.cpu") and "not shown" in line for line in lines)
    assert any(line.startswith("bee") for line in lines)
    assert "warning: the data shows 2 of the model's 10 classes" in shown.err
    assert f"results: {folder}.evaluation.json" in shown.err
    assert max(map(len, lines)) <= 80
    found = read_evaluation(folder.with_name("tiny.evaluation.json"))
    assert {each.label for each in found.variants["fp32"].classes} == {"bee", "猫"}


def test_json_is_the_document_that_is_written(folder, data, tmp_path, capsys):
    assert evaluate(folder, data, "--json", "--quiet", "--output", tmp_path / "e.json") == 0
    shown = capsys.readouterr().out
    found = decode(Evaluation, json.loads(shown), "stdout")
    assert found == read_evaluation(tmp_path / "e.json")


def test_several_variants_are_named_after_one_option(folder, data, tmp_path, capsys):
    assert evaluate(folder, data, "--variant", "int8.cpu", "fp32", "--limit", 4) == 0
    found = read_evaluation(tmp_path / "tiny.evaluation.json")
    assert list(found.variants) == ["int8.cpu", "fp32"]
    assert found.data.listed == 4


def test_unreadable_image_makes_the_exit_status_1(folder, data, capsys):
    (data / "bee" / "x.png").write_bytes(b"no image")
    assert evaluate(folder, data) == 1
    shown = capsys.readouterr().err.splitlines()
    assert any(line.startswith("warning: skipped") for line in shown)
    assert shown[-1].startswith("error: 1 of 61 images could not be read, such as 'bee/x.png'")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--variant", "int4"], "has no variant 'int4'; it has: fp32, fp16, int8.cpu"),
        (["--engine", "fp32-trt"], "has no engine 'fp32-trt'; it has: none"),
        (["--limit", "-1"], "--limit: given -1; expected 0 or more"),
        (["--batch", "0"], "given batch 0"),
        (["--threads", "-1"], "threads -1"),
        (["--labels", "missing.txt"], "cannot read labels from 'missing.txt'"),
        (["--truth", "missing.txt"], "cannot read the ground truth 'missing.txt'"),
        (["--output", "/dev/null"], "it is a device or pipe; name a file"),
        (["--provider", "tpu"], "expected one of cpu"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_status_2(folder, data, capsys, words, expected):
    assert evaluate(folder, data, *words) == 2
    shown = capsys.readouterr()
    assert expected in shown.err.splitlines()[-1]
    assert shown.out == ""


def test_data_that_cannot_work_is_one_line_and_exit_status_2(folder, data, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    shutil.copytree(data / "bee", tmp_path / "other" / "zebra")
    for given, expected in {
        tmp_path / "empty": "no images in",
        tmp_path / "missing": "there is no",
        tmp_path / "other": "the model has no class for 1 of the data's 1 labels: 'zebra'",
        data / "bee": "nothing tells the class of",
    }.items():
        assert evaluate(folder, given) == 2
        assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("*.answers"))


@pytest.mark.parametrize("words", [["--variant", "int4"], ["--engine", "fp32-trt"]])
def test_names_are_checked_before_images_are_looked_for(folder, tmp_path, capsys, words):
    assert evaluate(folder, tmp_path / "missing", *words) == 2
    assert f"has no {words[0].removeprefix('--')} '{words[1]}'" in capsys.readouterr().err


def test_model_without_labels_takes_them_from_a_file(publish_tiny, data, tmp_path, capsys):
    publish_tiny(tmp_path / "bare", labels=())
    assert evaluate(tmp_path / "bare", data) == 2
    assert "--labels FILE" in capsys.readouterr().err
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["猫", *"abcdefgh", "bee"]), "utf-8")
    assert evaluate(tmp_path / "bare", data, "--labels", names) == 0
    found = read_evaluation(tmp_path / "bare.evaluation.json")
    assert [each.index for each in found.variants["fp32"].classes] == [0, 9]


def test_model_of_features_is_refused(publish_tiny, data, tmp_path, capsys):
    def rename(model):
        model.graph.node[-1].output[0] = model.graph.output[0].name = "features"

    def change_manifest(manifest):
        variant = manifest.variants["fp32"]
        output = dataclasses.replace(variant.output, name="features")
        changed = dataclasses.replace(variant, output=output)
        return dataclasses.replace(manifest, variants={"fp32": changed})

    publish_tiny(tmp_path / "maps", change_model=rename, change_manifest=change_manifest)
    assert evaluate(tmp_path / "maps", data, "--quiet") == 2
    assert "the model gives features, not classes" in capsys.readouterr().err
