import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from calibration.cli import main
from calibration.keys import ModelKey
from calibration.ranges import INT8, UINT8
from calibration.ranges_file import RangesFile
from runtime.image_spec import ImageSpec

SPEC = ImageSpec(resize=16, crop=16, mean=(0.3,), std=(0.4,), channels="L")


@pytest.fixture(scope="module")
def bundle(bundle_of, graph):
    return bundle_of(graph)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "ranges.json"


@pytest.fixture
def fails(capsys, output):
    """Runs the command line, which must end with status 2, one line and nothing written."""

    def run(*arguments) -> str:
        assert main([*map(str, arguments), "--output", str(output)]) == 2
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
        assert captured.out == ""
        assert captured.err.splitlines()[-1:] == lines
        assert "Traceback" not in captured.err
        assert not output.parent.exists()
        return lines[0]

    return run


def test_ranges_are_measured_chosen_and_saved(bundle, digits, output, graph, capsys):
    assert main([str(bundle), "--data", str(digits), "--output", str(output)]) == 0
    saved = RangesFile.load(output, ModelKey.of(graph, SPEC))
    assert saved.images == 60
    assert saved.ranges(UINT8)["stem_relu"].low == 0
    assert saved.ranges(INT8).tensors.keys() == saved.ranges(UINT8).tensors.keys()
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(output) not in line) <= 80
    assert "images: 60 measured, of 60; 0 skipped, 0 duplicates" in out
    assert "chosen: what clips least within 3 dB of the best on its grid" in out
    assert "content: 8x8 L (60)" in out
    assert re.search(r"convergence: scales moved \d\.\d% \(median\), \d+\.\d% \(worst\)", out)
    assert f"ranges: {output}" in out
    assert [path.name for path in output.parent.iterdir()] == ["ranges.json"]


def test_auto_takes_a_method_with_a_good_score_on_each_grid(bundle, digits, output, capsys):
    assert main([str(bundle), "--data", str(digits), "--output", str(output), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for grid in ("int8", "uint8"):
        scores = {s["method"]: s["score"] for s in document["scores"] if s["grid"] == grid}
        assert list(scores) == ["minmax", "percentile", "entropy", "mse", "tails"]
        taken = scores[document["ranges"]["grids"][grid]["method"]]["sqnr_db"]
        assert taken >= max(score["sqnr_db"] for score in scores.values()) - 3
        assert taken > 25


def test_a_method_asked_for_is_the_method_taken_and_nothing_is_scored(
    bundle, digits, output, capsys
):
    arguments = [str(bundle), "--data", str(digits), "--output", str(output), "--images", "20"]
    assert main([*arguments, "--method", "percentile", "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["scores"] == []
    assert document["survey"]["read"] == document["ranges"]["images"] == 20
    assert document["ranges"]["data"]["method"] == "percentile"
    assert captured.err == "warning: 20 images are few; 300 or more are advised\n"


def test_a_second_run_gives_the_same_file(bundle, digits, tmp_path, capsys):
    for name in ("one.json", "two.json"):
        assert main([str(bundle), "--data", str(digits), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_ranges_lie_beside_the_bundle_by_default(bundle, digits, capsys):
    assert main([str(bundle), "--data", str(digits), "--method", "minmax"]) == 0
    saved = bundle.with_name("small.ranges.json")
    assert saved.is_file()
    assert capsys.readouterr().out.endswith(f"ranges: {saved}\n")


def test_a_bundle_is_calibrated_from_within_its_own_folder(
    bundle_of, graph, digits, monkeypatch, capsys
):
    folder = bundle_of(graph)
    monkeypatch.chdir(folder)
    assert main([".", "--data", str(digits), "--method", "minmax"]) == 0
    assert folder.with_name(f"{folder.name}.ranges.json").is_file()
    before = sorted(folder.rglob("*"))
    assert main([".", "--data", str(digits), "--output", "ranges.json"]) == 2
    assert "'ranges.json' would lie in the bundle" in capsys.readouterr().err
    assert main([".", "--data", str(digits), "--output", "."]) == 2
    assert sorted(folder.rglob("*")) == before


def test_convergence_compares_half_of_the_images_with_all(bundle, digits, tmp_path, capsys):
    folder = shutil.copytree(digits, tmp_path / "digits")
    for path in sorted(folder.iterdir())[::2]:  # every other file is in the first half
        Image.fromarray(np.asarray(Image.open(path)) // 4).save(path)
    arguments = ["--method", "minmax", "--output", str(tmp_path / "ranges.json"), "--json"]
    assert main([str(bundle), "--data", str(folder), *arguments]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["convergence"]["worst"] > 0.3
    assert re.search(
        r"warning: the scale of '\w+' moved by \d\d% with the second half", captured.err
    )


def test_broken_images_among_good_ones_are_named_and_the_rest_goes_on(
    bundle, digits, tmp_path, output, capsys
):
    folder = shutil.copytree(digits, tmp_path / "digits")
    jpeg = folder / "cut.jpg"
    Image.open(folder / "00.png").resize((64, 64)).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-300])
    arguments = ["--data", str(folder), "--method", "mse", "--output", str(output)]
    assert main([str(bundle), *arguments]) == 0
    captured = capsys.readouterr()
    assert re.search(
        r"warning: skipped .*cut\.jpg: cannot be read .*is the file complete", captured.err
    )
    assert "60 measured, of 61; 1 skipped" in captured.out


def test_colour_images_of_any_size_calibrate_a_grey_model(bundle, cells, tmp_path, output, capsys):
    for index, path in enumerate(sorted(cells.iterdir())[:12]):
        image = Image.open(path).convert("RGB").resize((40 + 9 * index, 90))
        image.save(tmp_path / f"{index}.png")
    arguments = ["--data", str(tmp_path), "--method", "mse", "--output", str(output)]
    assert main([str(bundle), *arguments]) == 0
    assert "and 10 more sizes" in capsys.readouterr().out


def test_images_that_cannot_calibrate_are_one_clear_line(bundle, digits, tmp_path, fails):
    assert "there is no folder" in fails(bundle, "--data", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no images in" in fails(bundle, "--data", tmp_path / "empty")
    two = tmp_path / "two"
    two.mkdir()
    for name in ("00.png", "01.png"):
        shutil.copy(digits / name, two)
    assert f"of 2 in '{two}' no more than 2 differ; expected" in fails(bundle, "--data", two)
    black, noise = tmp_path / "black", tmp_path / "noise"
    black.mkdir()
    noise.mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        pixels = rng.integers(0, 256, (20, 20 + index), np.uint8)
        Image.fromarray(pixels).save(noise / f"{index}.png")
        Image.fromarray(np.zeros_like(pixels)).save(black / f"{index}.png")
    assert "are of a single colour" in fails(bundle, "--data", black)
    assert "these are random noise" in fails(bundle, "--data", noise)


def test_options_that_cannot_work_are_one_clear_line(bundle, digits, fails):
    data = ("--data", digits)
    assert "given 'max'; expected one of minmax" in fails(bundle, *data, "--method", "max")
    assert "--images: given 5; expected at least 10" in fails(bundle, *data, "--images", "5")
    assert "Missing option '--data'" in fails(bundle)
    assert "there is no bundle" in fails(bundle / "nowhere", *data)


def test_models_that_cannot_be_calibrated_are_one_clear_line(
    bundle_of, make_graph, digits, fails, tmp_path
):
    data = ("--data", digits)
    weights = np.ones((8, 8, 3, 3))
    weights[5, 2, 1, 1] = np.nan
    broken = bundle_of(make_graph(conv2_weight=weights))
    assert "the weight 'conv2_weight' holds NaN" in fails(broken, *data)
    planes = ImageSpec(resize=16, crop=16, mean=(0.3,), std=(0.4,), channels="planes")
    assert "1 planes, which no image file holds" in fails(bundle_of(make_graph(), planes), *data)


def test_an_output_that_cannot_be_written_is_found_out_before_the_work(
    bundle, digits, tmp_path, capsys
):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "ranges.json"
    assert main([str(bundle), "--data", str(digits), "--output", str(target)]) == 2
    captured = capsys.readouterr()
    assert f"error: cannot write '{target}': '{target.parent}' is a file, not" in captured.err
    assert not re.search(r"^measure", captured.err, re.MULTILINE)
    assert main([str(bundle), "--data", str(digits), "--output", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: cannot write '{tmp_path}': it is a folder; name a file\n"


def test_images_refused_after_a_checkpoint_leave_no_checkpoint(bundle, tmp_path, output):
    rng = np.random.default_rng(0)
    for index in range(150):  # the first 64 read look real, those after them do not
        side = 4 if index % 2 == 0 and index < 128 else 16
        image = Image.fromarray(rng.integers(0, 256, (side, side), np.uint8))
        image.resize((16, 16), Image.Resampling.BICUBIC).save(tmp_path / f"{index:03}.png")
    arguments = ["--data", str(tmp_path), "--method", "mse", "--output", str(output)]
    assert main([str(bundle), *arguments]) == 2
    assert list(output.parent.iterdir()) == []
