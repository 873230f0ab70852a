"""python -m export --precision: options, gates and what is refused, each in one line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from calibration.cli import main as calibrate
from export.cli import main
from runtime.bundle import Bundle


@pytest.fixture
def refused(export_digits, tmp_path, capsys):
    """Runs an export that must end with a status and one line, and leave nothing."""

    def run(*words, status=2) -> str:
        target = tmp_path / "out" / "bundle"
        assert export_digits(target, *words) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
        assert captured.err.splitlines()[-1:] == errors
        left = list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
        assert left == []
        return errors[0]

    return run


def test_int8_without_images_says_what_it_needs(refused):
    assert "int8 needs images of what the model will see" in refused("--precision", "int8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precision", "fp8"], "--precision: given 'fp8'; expected some of fp32 fp16 int8"),
        (["--precision", "FP16"], "--precision: given 'FP16'; expected some of fp32 fp16 int8"),
        (["--precision", "fp16,int4"], "--precision: given 'int4'; expected some of fp32"),
        (["--precision", "fp16", "--keep-float", "conv1"], "given without --precision int8"),
        (["--precision", "fp16", "--keep-float"], "--keep-float: given nothing; expected"),
        (["--precision", "fp16", "--int8-rest", "fp16"], "--int8-rest: given without --precision"),
        (["--precision", "fp16", "--method", "mse"], "--method: given without --precision int8"),
        (
            ["--precision", "fp16", "--eval-images", "20"],
            "--eval-images: given without --eval-data",
        ),
        (["--ranges", "r.json"], "--ranges: given without --precision int8; expected both"),
        (["--eval-data", "."], "--eval-data: given without --precision fp16 or int8"),
        (["--max-drop", "0.3"], "--max-drop: given without --keep-float auto"),
        (
            ["--precision", "fp16", "--eval-data", "nowhere"],
            "--eval-data: there is no folder 'nowhere'",
        ),
        (
            ["--precision", "int8", "--calibration-data", "nowhere"],
            "--calibration-data: there is no folder 'nowhere'",
        ),
        (
            ["--precision", "int8", "--eval-data", ".", "--ranges", "nowhere.json"],
            "--ranges: there is no file 'nowhere.json'; make it with",
        ),
        (["--calibration-data", "."], "--calibration-data: given without --precision int8"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_any_work(refused, words, message):
    assert message in refused(*words)


def test_a_node_that_does_not_exist_is_refused_as_soon_as_the_graph_is_there(
    export_digits, scans, tmp_path, capsys
):
    words = ("--precision", "int8", "--calibration-data", scans / "calibration")
    assert export_digits(tmp_path / "b", *words, "--keep-float", "layer9") == 2
    steps = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert "simplify" in steps
    assert not {"check", "calibrate", "measure"}.intersection(steps)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--int8-rest", "bf16"], "--int8-rest: given 'bf16'; expected one of fp32, fp16"),
        (["--max-drop", "-1"], "--max-drop: given -1.0; expected points, 0 to 100"),
        (["--max-drop", "0.3"], "--max-drop: given without --keep-float auto"),
        (["--eval-images", "5"], "--eval-images: given 5; expected at least 10 to judge by"),
        (["--keep-float", "auto", "conv1"], "--keep-float: given auto and names"),
        (["--keep-float", "layer9"], "--keep-float: the graph has no node 'layer9'"),
        (["--keep-float", "layer1.0.convl"], "did you mean 'layer1.0.conv"),
        (["--keep-float", "conv1,relu"], "'relu' is a Relu, which runs as the node before it does"),
        (["--calibration-images", "3"], "--calibration-images: given 3; expected at least 10"),
        (["--method", "magic"], "method: given 'magic'; expected one of"),
        (["--static", "1x1x16x12"], "--static: given '1x1x16x12', and images of 8x8 to"),
    ],
)
def test_what_int8_cannot_work_with_is_refused(refused, scans, words, message):
    data = ["--calibration-data", scans / "calibration"]
    assert message in refused("--precision", "int8", *data, *words)


def _truncated(folder, count):
    for path in sorted(folder.rglob("*.png"))[:count]:
        path.write_bytes(path.read_bytes()[:40])


def test_bad_folders_are_one_line_each(refused, write_scans, tmp_path):
    (tmp_path / "empty").mkdir()
    write_scans(tmp_path / "two", range(2))
    write_scans(tmp_path / "black", range(60), lambda scan: 0 * scan)
    write_scans(tmp_path / "broken", range(60))
    _truncated(tmp_path / "broken", 60)
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for number in range(60):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{number}.png")
    for folder, message in (
        ("none", "there is no folder"),
        ("empty", "no images in"),
        ("two", "calibration images: given 2 in"),
        ("black", "no more than 1 differ"),
        ("noise", "random noise"),
        ("broken", "no more than 8 differ"),
    ):
        data = ("--calibration-data", tmp_path / folder)
        assert message in refused("--precision", "int8", *data), folder


def test_images_that_calibration_refuses_are_not_judged_by_either(refused, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("noise", "grey"):
        (tmp_path / folder).mkdir()
    for number in range(60):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{number}.png")
        Image.new("L", (8, 8), number).save(tmp_path / "grey" / f"{number}.png")
    judge = ("--precision", "fp16", "--eval-data")
    assert "images to judge by: these are random noise" in refused(*judge, tmp_path / "noise")
    assert "images to judge by: 32 of 32 are of a single" in refused(*judge, tmp_path / "grey")


def test_copies_of_an_image_count_once(refused, write_scans, tmp_path):
    good = write_scans(tmp_path / "good", range(60))
    copies = write_scans(tmp_path / "copies", [77])
    for number in range(60):
        shutil.copy(next(copies.rglob("*.png")), copies / f"{number}.png")
    data = ("--precision", "int8", "--calibration-data")
    held = refused(*data, copies)
    assert "images to judge by: of 15 in" in held
    assert "no more than 1 differ" in held
    assert "no more than 1 differ" in refused(*data, good, "--eval-data", copies)
    assert "copies' holds 1 that differ" in refused(*data, copies, "--eval-data", good)
    error = refused(*data, good, "--eval-data", good)
    assert "good' holds 0 that differ from each other and from the 60 to judge by" in error


def test_many_broken_images_to_judge_by_in_a_row_are_skipped(
    export_digits, scans, write_scans, tmp_path, capsys
):
    judged = write_scans(tmp_path / "judged", range(1000, 1060))
    _truncated(judged, 30)
    data = ("--calibration-data", scans / "calibration", "--eval-data", judged)
    fixed = ("--static", "1x1x8x8", "--method", "minmax")
    assert export_digits(tmp_path / "b", "--precision", "int8", *fixed, *data) == 0
    said = capsys.readouterr().err
    assert said.count("warning: skipped ") == 30
    assert "30 images beside torch float64" in said


def test_broken_images_among_good_ones_are_named_and_skipped(
    export_digits, write_scans, tmp_path, capsys
):
    folder = write_scans(tmp_path / "scans", range(80))
    broken = sorted(folder.rglob("*.png"))[9]
    broken.write_bytes(broken.read_bytes()[:40])
    Image.open(sorted(folder.rglob("*.png"))[11]).convert("RGBA").resize((31, 17)).save(
        folder / "0" / "colour.png"
    )
    data = ("--calibration-data", folder, "--method", "minmax")
    assert export_digits(tmp_path / "b", "--precision", "int8", *data, "--quiet") == 0
    assert f"skipped {broken}" in capsys.readouterr().err


def test_a_model_with_nan_weights_is_refused(scans, tmp_path, capsys):
    import torch

    from export.load import load
    from export.load_options import LoadOptions

    weights = load("resnet20-digits", LoadOptions()).module.state_dict()
    weights["layer2.0.conv1.weight"] = torch.full_like(weights["layer2.0.conv1.weight"], torch.nan)
    torch.save(weights, tmp_path / "nan.pth")
    words = ["cifar_resnet20", "--onnx", "--weights", str(tmp_path / "nan.pth"), "--channels", "1"]
    data = ["--precision", "int8", "--calibration-data", str(scans / "calibration")]
    assert main([*words, *data, "--output", str(tmp_path / "b")]) in (1, 2)
    assert "nan" in capsys.readouterr().err.splitlines()[-1].lower()
    assert not (tmp_path / "b").exists()


def test_ranges_of_a_bundle_make_the_same_int8_again(export_digits, published, scans, tmp_path):
    words = ("--precision", "int8", "--eval-data", scans / "judged", "--quiet")
    assert export_digits(tmp_path / "b", *words, "--ranges", published / "ranges.json") == 0
    before, after = (
        json.loads((folder / "manifest.json").read_text())["files"]["model.int8.trt.onnx"]
        for folder in (published, tmp_path / "b")
    )
    assert before == after


def test_ranges_that_calibration_measured_are_taken(export_digits, published, scans, tmp_path):
    file = tmp_path / "ranges.json"
    words = ["--data", str(scans / "calibration"), "--method", "minmax", "--output", str(file)]
    assert calibrate([str(published), *words, "--quiet"]) == 0
    words = ("--precision", "int8", "--eval-data", scans / "judged", "--quiet")
    assert export_digits(tmp_path / "b", *words, "--ranges", file) == 0


def test_stale_ranges_are_refused_by_what_differs(refused, published, scans):
    words = ("--precision", "int8", "--ranges", published / "ranges.json", "--eval-data")
    error = refused(*words, scans / "judged", "--mean", "0.4")
    assert "stale: they were measured with another preprocessing" in error
    fewer = ("--calibration-data", scans / "calibration", "--calibration-images", "60")
    error = refused(*words, scans / "judged", *fewer)
    assert "stale: they were measured with other images, another method; calibrate" in error
    error = refused(*words, scans / "judged", "--method", "mse")
    assert "--method: given without --precision int8 and --calibration-data" in error


def test_ranges_of_the_images_given_with_them_spare_the_measuring(
    export_digits, published, scans, tmp_path, capsys
):
    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    ranges = ("--ranges", published / "ranges.json", "--method", "minmax")
    assert export_digits(tmp_path / "b", "--precision", "int8", *data, *ranges) == 0
    assert "measure " not in capsys.readouterr().err


def test_a_part_of_the_calibration_folder_is_held_back_and_said(
    export_digits, write_scans, tmp_path, capsys
):
    folder = write_scans(tmp_path / "scans", range(80))
    data = ("--calibration-data", folder, "--method", "minmax")
    assert export_digits(tmp_path / "b", "--precision", "int8", *data) == 0
    out = capsys.readouterr().out
    source = f"20 of 80 images in '{folder}', held back from calibration"
    assert f"judged on {source}; float32 is right on 100.0%" in out
    assert max(len(line) for line in out.splitlines() if "judged on" not in line) <= 100
    assert json.loads((tmp_path / "b/ranges.json").read_text())["images"] == 60


def test_float16_without_images_says_that_little_was_shown(export_digits, tmp_path, capsys):
    assert export_digits(tmp_path / "b", "--precision", "fp16") == 0
    said = capsys.readouterr().err
    assert "warning: no images given: judged on the 10 sample images of the package" in said
    assert "images of the package: no calibration images were given" in said


def test_a_gate_that_fails_publishes_nothing_and_names_the_cause(
    refused, write_scans, scans, tmp_path
):
    dim = write_scans(tmp_path / "dim", range(80), lambda scan: scan / 6)
    words = ("--precision", "int8", "--calibration-data", dim, "--eval-data", scans / "judged")
    error = refused(*words, "--method", "minmax", status=1)
    assert "int8.trt fails its gate" in error
    assert "explained by calibration images unlike those judged by: calibrate on" in error
    assert "nothing was published" in error


def test_a_node_kept_in_float_runs_in_float_and_tells_what_it_costs(
    export_digits, scans, tmp_path, capsys
):
    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    kept = ("--keep-float", "layer2.0.conv1", "layer3.0.conv2", "--int8-rest", "fp16")
    words = ("--precision", "int8", *kept, *data, "--method", "minmax", "--json")
    assert export_digits(tmp_path / "b", *words) == 0
    variants = json.loads(capsys.readouterr().out)["manifest"]["variants"]
    for name, wide in (("int8.trt", "float16"), ("int8.cpu", "float32")):
        assert variants[name]["kept_float"]["layer2.0.conv1"] == "asked for with --keep-float"
        assert variants[name]["work"]["layers"]["layer2.0.conv1"]["precision"] == wide
        assert variants[name]["work"]["layers"]["layer2.0.conv2"]["precision"] == "int8"
    assert variants["int8.trt"]["opset"] == 19
    assert variants["int8.cpu"]["kept_float_slowdown"] > 0


def test_every_convolution_of_a_backbone_of_maps_is_an_integer_one(export_digits, scans, tmp_path):
    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    words = ("--precision", "int8", "--head", "stages", "--quiet")
    assert export_digits(tmp_path / "b", *words, *data) == 0
    for name in ("int8.trt", "int8.cpu"):
        variant = Bundle.load(tmp_path / "b").variant(name)
        assert len(variant.more_outputs) == 2
        assert variant.judgement.sqnr_db > 25
        assert variant.work.shares["int8"] == 1.0


def test_pixels_go_in_in_every_precision(export_digits, scans, tmp_path):
    from runtime.bundle import Bundle
    from runtime.verification.verify import verify

    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    words = ("--precision", "fp16", "int8", "--input", "uint8-nhwc", *data)
    assert export_digits(tmp_path / "b", *words, "--method", "minmax", "--quiet") == 0
    bundle = Bundle.load(tmp_path / "b")
    assert {v.input.dtype for v in bundle.manifest.variants.values()} == {"uint8"}
    assert verify(bundle).passed


def test_a_plan_has_an_engine_for_each_variant_of_the_model_as_it_would_be_exported(capsys):
    asked = ["--classes", "2", "--channels", "1", "--resize", "144", "--crop", "128", "--json"]
    words = ["plan", "resnet18", "--rtx", "sm86", "--precision", "fp32", "fp16", "int8", *asked]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    names = [engine["order"]["name"] for engine in document["engines"]]
    assert names == ["fp32-rtx", "fp16-rtx", "int8.trt-rtx"]
    assert document["parameters"] == 11_171_266
    (profile,) = document["engines"][2]["order"]["options"]["profiles"]
    assert profile["largest"] == [32, 1, 128, 128]
    weights = [engine["preflight"]["memory"]["weights"] for engine in document["engines"]]
    assert weights == sorted(weights, reverse=True)


@pytest.fixture
def uneven_weights(tmp_path):
    """The digits' weights with one channel of a block 4,096 times as large, and as much undone."""
    import torch

    from export.load import load
    from export.load_options import LoadOptions

    weights = load("resnet20-digits", LoadOptions()).module.state_dict()
    weights["layer2.1.bn1.weight"][5] *= 4096
    weights["layer2.1.bn1.bias"][5] *= 4096
    weights["layer2.1.conv2.weight"][:, 5] /= 4096
    torch.save(weights, tmp_path / "uneven.pth")
    return tmp_path / "uneven.pth"


def test_auto_keeps_in_float_what_int8_would_lose_and_no_more(
    export_digits, scans, uneven_weights, tmp_path, capsys
):
    data = ("--calibration-data", scans / "calibration", "--eval-data", scans / "judged")
    words = ("--precision", "int8", *data, "--method", "minmax", "--weights", uneven_weights)
    assert export_digits(tmp_path / "b", *words, "--keep-float", "auto", "--json") == 0
    variants = json.loads(capsys.readouterr().out)["manifest"]["variants"]
    for name in ("int8.trt", "int8.cpu"):
        kept = variants[name]["kept_float"]
        reasons = {node: why for node, why in kept.items() if "--keep-float auto" in why}
        assert "layer2.1.conv2" in reasons
        assert len(reasons) <= 3
        assert "with all nodes in int8" in reasons["layer2.1.conv2"]
        assert variants[name]["work"]["layers"]["layer2.1.conv2"]["precision"] == "float32"
        assert variants[name]["judgement"]["sqnr_db"] > 20
    assert variants["int8.cpu"]["kept_float_slowdown"] > 0
