import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from export.checkpoint import TrainedModel, write_checkpoint
from export.load import load
from export.load_options import LoadOptions
from export.models.catalogue import find
from export.weights.inspect_checkpoint import Inspection, inspect_checkpoint
from runtime.errors import CheckpointError
from runtime.image_spec import ImageSpec


@pytest.fixture(scope="module")
def sound() -> dict[str, Tensor]:
    """Weights of a small network whose norms look trained."""
    return load("cifar_resnet20", LoadOptions(classes=4, channels=1)).module.state_dict()


def inspected(folder: Path, document: object) -> Inspection:
    torch.save(document, folder / "weights.pth")
    return inspect_checkpoint(folder / "weights.pth")


def test_a_sound_file_is_told_in_full(tmp_path, sound) -> None:
    half = {name: v.half() if v.is_floating_point() else v for name, v in sound.items()}
    seen = inspected(tmp_path, {"net": half, "model_ema": half})
    assert (seen.layout, seen.model, seen.problem) == ("torchvision", "cifar_resnet20", "")
    assert (seen.classes, seen.channels, seen.adapter) == (4, 1, False)
    assert (seen.place, seen.averaged, seen.left) == ("['net']", False, "model_ema")
    assert (seen.tensors, seen.dtypes, seen.norms) == (len(sound), ("float16",), 19)
    assert seen.parameters == 269_722 - 2 * 144 - 6 * 65
    assert seen.findings == ()
    assert not seen.metadata
    assert inspect_checkpoint(tmp_path / "weights.pth", ema=True).averaged


def test_a_file_of_this_project_brings_metadata(tmp_path, sound) -> None:
    image = ImageSpec(resize=32, crop=32, mean=(0.5,), std=(0.2,), channels="L")
    trained = TrainedModel(
        model="cifar_resnet20", classes=4, labels=(), image=image, top1=None, notes={}
    )
    write_checkpoint(tmp_path / "w.safetensors", sound, trained)
    seen = inspect_checkpoint(tmp_path / "w.safetensors")
    assert (seen.metadata, seen.model, seen.problem) == (True, "cifar_resnet20", "")


def spoilt(sound: dict[str, Tensor], key: str, value: float, channels: int) -> dict[str, Tensor]:
    values = sound[key].clone()
    values[:channels] = value
    return {**sound, key: values}


@pytest.mark.parametrize(
    ("part", "value", "finding"),
    [
        ("running_mean", math.nan, "NaN or infinity"),
        ("weight", math.inf, "NaN or infinity"),
        ("running_var", -1e-3, "negative variance"),
        ("running_var", 0.0, "zero variance"),
        ("running_mean", -1e5, "huge mean"),
        ("running_var", 1e9, "huge variance"),
    ],
)
def test_a_broken_norm_is_named_with_what_is_wrong(tmp_path, sound, part, value, finding) -> None:
    seen = inspected(tmp_path, spoilt(sound, f"layer2.1.bn2.{part}", value, 3))
    (found,) = seen.findings
    assert (found.norm, found.finding, found.channels) == ("layer2.1.bn2", finding, 3)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_weights_that_are_not_finite_are_a_problem_of_any_tensor(tmp_path, sound, value) -> None:
    seen = inspected(tmp_path, spoilt(sound, "layer1.0.conv1.weight", value, 1))
    assert seen.model == "cifar_resnet20"
    assert "weights.pth) hold NaN or infinity in 'layer1.0.conv1.weight'" in seen.problem
    assert seen.findings == ()


def test_a_variance_that_is_negative_beyond_rounding_is_a_problem(tmp_path, sound) -> None:
    key = "layer1.0.bn1.running_var"
    seen = inspected(tmp_path, spoilt(sound, key, -1e-3, 1))
    assert f"a negative variance in '{key}'" in seen.problem
    assert inspected(tmp_path, spoilt(sound, key, -1e-7, 1)).problem == ""


def test_complex_weights_are_refused_without_a_warning(tmp_path, sound) -> None:
    seen = inspected(tmp_path, {key: value.to(torch.complex64) for key, value in sound.items()})
    assert "no whole cifar_resnet20" in seen.problem


def test_norms_that_never_saw_an_image_are_told(tmp_path) -> None:
    module = find("cifar_resnet20").build(classes=4, channels=1)
    seen = inspected(tmp_path, module.state_dict())
    assert {found.finding for found in seen.findings} == {"untrained: mean 0, variance 1"}
    assert len(seen.findings) == seen.norms == 19


def test_what_does_not_fit_is_grouped_by_stage(tmp_path, sound) -> None:
    weights = {**sound, "extra.weight": torch.zeros(1), "fc.weight": torch.zeros(4, 3)}
    del weights["layer3.1.bn1.weight"], weights["layer3.1.bn1.bias"], weights["conv1.weight"]
    seen = inspected(tmp_path, weights)
    assert seen.model == "cifar_resnet20"
    assert "no whole cifar_resnet20, the nearest model (tensors amiss: 5)" in seen.problem
    assert seen.diagnosis is not None
    counts = {
        stage: {kind: len(misfits) for kind, misfits in kinds.items()}
        for stage, kinds in seen.diagnosis.by_stage().items()
    }
    assert counts == {
        "stem": {"missing": 1},
        "layer3": {"missing": 2},
        "head": {"mismatched": 1},
        "elsewhere": {"unexpected": 1},
    }
    assert list(counts) == ["stem", "layer3", "head", "elsewhere"]


def test_norms_whose_parts_disagree_in_size_are_misfits_and_no_stack_trace(tmp_path, sound) -> None:
    seen = inspected(tmp_path, {**sound, "bn1.bias": torch.zeros(3)})
    assert "(tensors amiss: 1)" in seen.problem


def test_weights_of_something_else_are_told_as_far_as_they_can_be(tmp_path) -> None:
    seen = inspected(tmp_path, {"features.0.weight": torch.zeros(8, 3, 3, 3)})
    assert (seen.model, seen.layout, seen.diagnosis) == ("", "", None)
    assert "of no known layout" in seen.problem
    assert seen.parameters == 216


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path) -> None:
    (tmp_path / "weights.pth").write_text("not weights")
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        inspect_checkpoint(tmp_path / "weights.pth")
