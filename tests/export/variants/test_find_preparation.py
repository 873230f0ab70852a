"""Naming what is wrong with how images are prepared: by their classes, and without any."""

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
import torch
from PIL import Image
from torch import nn

from calibration.images import choose_images
from export.samples import sample_images
from export.variants.evaluation import UNKNOWN, Evaluation
from export.variants.find_preparation import Model, find_preparation
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image
from runtime.terminal import Screen

QUIET = Screen(quiet=True)
TINTS = {"0": (1.0, 0.7, 0.5), "1": (0.7, 1.0, 0.5)}
"""What red, green and blue are multiplied by: sunsets and meadows, never seascapes."""


def read(folder, *, labelled=True):
    files, _ = choose_images(folder, 1000)
    classes = (int(file.path.parent.name) if labelled else UNKNOWN for file in files)
    return Evaluation(files=files, classes=tuple(classes), source="")


@pytest.fixture(scope="session")
def model(digits, simplified):
    return Model(module=digits.module, graph=simplified, image=digits.image, classes=10)


def prepared(model, **changes):
    return dataclasses.replace(model, image=dataclasses.replace(model.image, **changes))


@pytest.fixture(params=[True, False], ids=["classes", "no classes"])
def judged(request, scans):
    return read(scans / "judged", labelled=request.param)


def test_images_that_are_prepared_as_they_should_be_are_left_alone(model, judged):
    assert find_preparation(model, judged, QUIET) is None


def test_missing_normalisation_is_named_and_its_cure_is_the_trainings_own(model, judged):
    found = find_preparation(prepared(model, mean=(0.0,), std=(1.0,)), judged, QUIET)
    assert found.kind == "missing normalisation"
    assert "--mean" in found.cure
    assert "the images' own mean and std" in (found.change, *found.as_good)


def test_what_images_do_not_tell_apart_is_told_together(model, scans):
    unlabelled = read(scans / "judged", labelled=False)
    found = find_preparation(prepared(model, mean=(0.0,), std=(1.0,)), unlabelled, QUIET)
    # 0.5 is near enough to the digits' 0.31 and 0.38 for their values, not for their classes.
    assert found.change == "values -1..1"
    assert found.as_good == ("the images' own mean and std",)


def test_a_scale_is_named_before_a_crop_that_would_undo_it_as_well(model, judged):
    unlike = prepared(model, mean=(0.3,), std=(0.3,))
    found = find_preparation(unlike, judged, QUIET)
    assert found.kind == "wrong normalisation"
    assert any(other.startswith("wrong crop: ") for other in found.as_good)


class _Normalising(nn.Module):
    """A module that normalises images itself."""

    def __init__(self, module, image):
        super().__init__()
        self.module, self.mean, self.std = module, image.mean[0], image.std[0]

    def forward(self, images):
        return self.module((images - self.mean) / self.std)


def fed_through(graph, factor, offset):
    """Return a copy of the graph that first multiplies its images and adds to them."""
    made = graph.clone()
    images = made.graph.inputs[0]
    uses = tuple(images.uses())
    value = images
    for kind, number in (("Mul", factor), ("Add", offset)):
        constant = ir.val(kind, const_value=ir.tensor(np.float32(number), name=kind))
        made.graph.register_initializer(constant)
        node = ir.node(kind, [value, constant], name=f"first.{kind}")
        value = node.outputs[0]
        value.name, value.type, value.shape = f"first.{kind}", images.type, images.shape
        made.graph.insert_before(uses[0].node, node)
    for reader, index in uses:
        reader.replace_input_with(index, value)
    return made


def test_double_normalisation_is_named_where_the_model_normalises_itself(model, judged):
    mean, std = model.image.mean[0], model.image.std[0]
    normalising = dataclasses.replace(
        model,
        module=_Normalising(model.module, model.image).eval(),
        graph=fed_through(model.graph, 1 / std, -mean / std),
    )
    found = find_preparation(normalising, judged, QUIET)
    assert found.kind == "double normalisation"
    assert found.change == "values 0..1, not normalised"
    as_it_wants = prepared(normalising, mean=(0.0,), std=(1.0,))
    assert find_preparation(as_it_wants, judged, QUIET) is None


def test_a_crop_that_cuts_the_object_is_named_with_what_is_as_good(model, judged):
    found = find_preparation(prepared(model, resize=16), judged, QUIET)
    assert found.kind == "wrong crop"
    assert any(change.startswith("resize 8") for change in (found.change, *found.as_good))


def test_float32_is_asked_how_often_it_is_right(model, scans):
    found = find_preparation(prepared(model, resize=16), read(scans / "judged"), QUIET)
    assert found.change == "resize 8, the crop's own size"
    assert "float32 is right on 100% of 100 images" in found.evidence


def test_a_module_without_batchnorm_says_nothing_of_images_without_classes(model, scans):
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    wrong = prepared(dataclasses.replace(model, module=linear), mean=(0.0,), std=(1.0,))
    assert find_preparation(wrong, read(scans / "judged", labelled=False), QUIET) is None


@pytest.fixture(scope="session")
def tinted(tmp_path_factory):
    """A folder for each tint, with forty pieces of the sample photographs."""
    folder = tmp_path_factory.mktemp("tinted")
    rng = np.random.default_rng(0)
    photographs = [Image.open(path).convert("RGB") for path in sample_images("photographs")]
    for label, tint in TINTS.items():
        (folder / label).mkdir()
        for number in range(40):
            photograph = photographs[number % 2]
            left, top = (int(rng.integers(0, side - 64)) for side in photograph.size)
            piece = photograph.crop((left, top, left + 64, top + 64)).resize((32, 32))
            Image.fromarray((np.array(piece) * tint).astype(np.uint8)).save(
                folder / label / f"{number}.png"
            )
    return folder


@pytest.fixture(scope="session")
def colour_model(tinted):
    """Tells sunsets from meadows by the strongest colour; its BatchNorm has seen them all."""
    image = ImageSpec(resize=32, crop=32, mean=(0.5, 0.45, 0.25), std=(0.25, 0.25, 0.2))
    images = np.stack([load_image(file.path, image) for file in read(tinted).files])
    norm = nn.BatchNorm2d(3, momentum=None)
    norm(torch.from_numpy(images))
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[batch, 3, height, width] images) => (float[batch, 2] logits) {
            pooled = GlobalAveragePool (images)
            flat = Flatten (pooled)
            std = Constant <value = float[3] {0.25, 0.25, 0.2}> ()
            scaled = Mul (flat, std)
            weight = Constant <value = float[3, 2] {1, 0, 0, 1, 0, 0}> ()
            less = Constant <value = float[2] {-0.5, -0.45}> ()
            levels = MatMul (scaled, weight)
            logits = Sub (levels, less)
        }
    """)
    return Model(module=norm.eval(), graph=graph, image=image, classes=2)


@pytest.mark.parametrize("labelled", [True, False], ids=["classes", "no classes"])
def test_red_and_blue_that_are_swapped_are_named(colour_model, tinted, labelled):
    judged = read(tinted, labelled=labelled)
    assert find_preparation(colour_model, judged, QUIET) is None
    swapped = prepared(colour_model, channels="BGR")
    found = find_preparation(swapped, judged, QUIET)
    assert found.kind == "channel order"
    assert found.change == "channel order RGB"
    assert found.image.channels == "RGB"
