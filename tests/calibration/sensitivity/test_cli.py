"""The command, as a person meets it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from calibration.cli import main


def named(graph):
    """The network with names for its nodes, as an exported one has them."""
    graph = graph.clone()
    for node in graph.graph:
        node.name = f"layer1.{node.outputs[0].name}"
    return graph


@pytest.fixture(scope="module")
def calibrated(bundle_of, graph, digits):
    """A bundle with ranges beside it."""
    folder = bundle_of(named(graph))
    assert main([str(folder), "--data", str(digits), "--method", "minmax", "--quiet"]) == 0
    return folder


def test_nodes_and_blocks_are_told_the_worst_first(calibrated, digits, capsys):
    assert main(["sensitivity", str(calibrated), "--data", str(digits), "--top", "2"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("block alone")
    nodes = lines[lines.index("") + 1 :]
    assert nodes[0].split()[:4] == ["node", "alone", "SQNR", "dB"]
    assert float(nodes[2].split()[1]) <= float(nodes[3].split()[1])
    assert nodes[4].startswith("3 more")
    assert "on 60 images" in captured.err
    assert "ranges of 60 images from" in captured.err
    assert lines[-1].endswith("float by default: layer1.mean, layer1.flat, layer1.logits")


@pytest.mark.parametrize("target", ["tensorrt", "cpu"])
def test_a_program_gets_every_number(calibrated, digits, target, capsys):
    arguments = ["sensitivity", str(calibrated), "--data", str(digits), "--json"]
    assert main([*arguments, "--target", target, "--images", "12"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["target"] == target
    assert document["method"] == "minmax"
    assert document["costs"]["images"] == 12
    kinds = [cost["kind"] for cost in document["costs"]["nodes"]]
    assert kinds.count("Conv") == 3
    assert ("Add" in kinds) == (target == "cpu")  # TensorRT's is a part of a convolution
    assert 10 < document["costs"]["together"]["sqnr_db"] < 60


def test_the_plot_follows_the_page_and_is_the_same_every_time(calibrated, digits, tmp_path, capsys):
    arguments = ["sensitivity", str(calibrated), "--data", str(digits), "--images", "12"]
    for name in ("one.svg", "two.svg"):
        assert main([*arguments, "--plot", str(tmp_path / name)]) == 0
    drawing = (tmp_path / "one.svg").read_text()
    assert (tmp_path / "two.svg").read_text() == drawing
    assert "prefers-color-scheme: dark" in drawing
    assert "fill: currentColor" in drawing
    assert ">layer1.conv2<" in drawing
    assert f"plot: {tmp_path / 'two.svg'}" in capsys.readouterr().out


def test_without_ranges_the_model_is_calibrated_first(bundle_of, graph, digits, capsys):
    folder = bundle_of(named(graph))
    assert main(["sensitivity", str(folder), "--data", str(digits)]) == 0
    assert "calibrating first" in capsys.readouterr().err
    assert folder.with_name("small.ranges.json").is_file()
    assert main(["sensitivity", str(folder), "--data", str(digits)]) == 0
    assert "ranges of 60 images from" in capsys.readouterr().err


def test_stale_ranges_are_replaced_and_that_is_said(
    calibrated, bundle_of, make_graph, digits, capsys
):
    other = bundle_of(named(make_graph(seed=1)))
    ranges = other.with_name("small.ranges.json")
    shutil.copy(calibrated.with_name("small.ranges.json"), ranges)
    before = ranges.read_bytes()
    assert main(["sensitivity", str(other), "--data", str(digits), "--quiet"]) == 0
    warning = capsys.readouterr().err.splitlines()[0]
    assert "are stale: they were measured with other weights" in warning
    assert warning.endswith("they are replaced")
    assert ranges.read_bytes() != before


def test_files_that_cannot_be_read_are_named(calibrated, digits, tmp_path, capsys):
    folder = shutil.copytree(digits, tmp_path / "digits")
    (folder / "05.png").write_bytes(b"no image")
    assert main(["sensitivity", str(calibrated), "--data", str(folder), "--json"]) == 0
    captured = capsys.readouterr()
    assert "warning: skipped" in captured.err
    assert "05.png" in captured.err
    assert json.loads(captured.out)["costs"]["images"] == 59


def test_what_cannot_be_answered_is_one_clear_line(calibrated, digits, tmp_path, capsys):
    def fails(*arguments) -> str:
        assert main(["sensitivity", *map(str, arguments)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()[-1]

    data = ("--data", digits)
    assert "target: given 'gpu'; expected one of tensorrt, cpu" in fails(
        calibrated, *data, "--target", "gpu"
    )
    assert "--images: given 3; expected at least 10" in fails(calibrated, *data, "--images", 3)
    assert "top: given 0" in fails(calibrated, *data, "--top", 0)
    assert "expected the name of an .svg file" in fails(calibrated, *data, "--plot", "a.png")
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "a.svg"
    assert f"cannot write '{below}'" in fails(calibrated, *data, "--plot", below)
    assert "there is no folder" in fails(calibrated, "--data", tmp_path / "nowhere")
    assert "is not a bundle" in fails(tmp_path, *data)
    black = tmp_path / "black"
    black.mkdir()
    for index in range(20):
        image = np.zeros((16, 16 + index), np.uint8)
        Image.fromarray(image).save(black / f"{index}.png")
    assert "are of a single colour" in fails(calibrated, "--data", black)
