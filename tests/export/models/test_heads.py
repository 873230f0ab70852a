import onnx
import pytest
import torch

from export.cli import main
from export.load import load
from export.load_options import LoadOptions
from export.samples import sample_images
from runtime.cli import main as runtime_main
from runtime.errors import OptionError
from runtime.onnx_files.tensor import read_tensor

IMAGES = torch.randn(2, 3, 65, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "width"), [("resnet18", 512), ("small_resnet50", 2048)])
def test_features_are_what_the_head_would_have_seen(name: str, width: int) -> None:
    whole, headless = load(name), load(name, LoadOptions(head="features"))
    with torch.inference_mode():
        assert torch.equal(headless.module(IMAGES), whole.module.features(IMAGES))
    assert (headless.classes, headless.outputs, headless.labels) == (width, ("features",), ())
    assert headless.weights.sha256 != whole.weights.sha256


def test_stages_are_the_maps_of_each_under_the_names_of_the_layers() -> None:
    whole, headless = load("resnet18"), load("resnet18", LoadOptions(head="stages"))
    with torch.inference_mode():
        maps = headless.module(IMAGES)
        assert all(map(torch.equal, maps, whole.module.maps(IMAGES)))
    assert headless.outputs == ("stage1", "stage2", "stage3", "stage4")
    assert [tuple(each.shape[1:]) for each in maps] == [
        (64, 17, 24), (128, 9, 12), (256, 5, 6), (512, 3, 3)
    ]  # fmt: skip
    kept = {key for key in whole.module.state_dict() if not key.startswith("fc.")}
    assert set(headless.module.state_dict()) == kept


def test_labels_without_classes_and_unknown_heads_are_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match="given 'neck'; expected one of logits, features, stages"):
        LoadOptions(head="neck")
    with pytest.raises(OptionError, match="--head features, which has no classes"):
        LoadOptions(head="features", labels=tmp_path)


def test_stages_become_named_outputs_of_any_size_each_with_its_golden_answer(tmp_path) -> None:
    folder = tmp_path / "b"
    arguments = ["cifar_resnet20", "--onnx", "--head", "stages", "--parity-budget", "0", "--quiet"]
    assert main([*arguments, "--output", str(folder)]) == 0
    graph = onnx.load(folder / "model.onnx").graph
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.output
    }
    assert shapes == {
        f"stage{n}": ["batch", width, f"stage{n}_height", f"stage{n}_width"]
        for n, width in ((1, 16), (2, 32), (3, 64))
    }
    golden = folder / "test_data_set_0"
    answers = [read_tensor((golden / f"output_{n}.pb").read_bytes()) for n in range(3)]
    images = torch.from_numpy(read_tensor((golden / "input_0.pb").read_bytes()))
    with torch.inference_mode():
        expected = load("cifar_resnet20", LoadOptions(head="stages")).module(images)
    for answer, truth in zip(answers, expected, strict=True):
        assert torch.allclose(torch.from_numpy(answer), truth, atol=1e-4)


def test_features_become_a_bundle_that_verifies(tmp_path) -> None:
    from runtime.cli import main as runtime

    folder = str(tmp_path / "b")
    arguments = ["cifar_resnet20", "--onnx", "--head", "features", "--parity-budget", "0"]
    assert main([*arguments, "--quiet", "--output", folder]) == 0
    assert runtime(["verify", folder]) == 0


def test_a_bundle_of_stage_maps_verifies_and_names_no_classes(tmp_path, capsys):
    folder = str(tmp_path / "stages")
    arguments = ["resnet20-digits", "--onnx", "--head", "stages", "--parity-budget", "0"]
    assert main([*arguments, "--output", folder, "--quiet"]) == 0
    assert runtime_main(["verify", folder]) == 0
    assert "stage3" in capsys.readouterr().out
    assert runtime_main(["classify", folder, str(sample_images("digits")[0])]) == 2
    assert "gives stage1, stage2, stage3, not classes" in capsys.readouterr().err


def test_a_changed_map_is_found_by_verify(tmp_path, capsys):
    folder = tmp_path / "stages"
    arguments = ["resnet20-digits", "--onnx", "--head", "stages", "--parity-budget", "0"]
    assert main([*arguments, "--output", str(folder), "--quiet"]) == 0
    last = folder / "test_data_set_0" / "output_2.pb"
    data = last.read_bytes()
    last.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert runtime_main(["verify", str(folder)]) == 1
    assert "output_2.pb" in capsys.readouterr().err
