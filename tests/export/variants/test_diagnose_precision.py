"""Naming why a variant fails: each usual cause is made, and named; none is where there is none."""

import copy
import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
import torch

from calibration.calibrate import calibrate
from calibration.equalize import equalize
from calibration.images import choose_images
from calibration.order import Order
from calibration.ranges import Range
from export.fold import fold
from export.recipes import float32
from export.variants.diagnose_precision import Setting, diagnose_precision
from export.variants.evaluation import Evaluation
from export.variants.made import Form
from export.variants.make_float16 import make_float16
from export.variants.make_int8 import Int8Recipe, make_cpu, make_tensorrt
from runtime.terminal import Screen

QUIET = Screen(quiet=True)
CLIPPED = "layer2.1.relu"
STRIPES = 16 * (np.indices((8, 8))[0] % 2)


def read(folder):
    """Return the images of class folders, with their classes."""
    files, _ = choose_images(folder, 1000)
    classes = tuple(int(file.path.parent.name) for file in files)
    return Evaluation(files=files, classes=classes, source="scans")


@pytest.fixture
def build(digits, simplified, scans, tmp_path):
    """Builds what int8 of the digits is made of: Setting, from other graphs and images."""

    def setting(graph=simplified, calibration=scans / "calibration", images=120):
        order = Order(
            data=calibration, checkpoint=tmp_path / "part", images=images, method="minmax"
        )
        ranges = calibrate(graph, digits.image, order, QUIET).ranges
        form = Form(
            image=digits.image, pixels="", stamp=lambda made: ir.to_proto(made).SerializeToString()
        )
        files, _ = choose_images(calibration, images)
        recipe = Int8Recipe(
            equalized=equalize(graph, ranges.peaks),
            ranges=ranges,
            form=form,
            vnni=True,
            half_rest=False,
            unsafe=(),
            head_fit=None,
        )
        return Setting(
            classifier=digits,
            graph=graph,
            form=form,
            recipe=recipe,
            calibration=files,
            judged=read(scans / "judged"),
        )

    return setting


def diagnosed(setting, made):
    """Return what explains the failure, in order, and the whole diagnosis."""
    diagnosis = diagnose_precision([made], setting, QUIET)[made.name]
    return [cause.name for cause in diagnosis.causes if cause.explains], diagnosis


def trt(setting):
    return make_tensorrt(setting.recipe, {}, QUIET)


def with_range(setting, tensor, factor):
    """Return the setting with the range of a tensor this many times as wide, on both grids."""
    file = setting.recipe.ranges
    grids = {}
    for name, ranges in file.grids.items():
        old = ranges.tensors[tensor]
        changed = Range(low=old.low * factor, high=old.high * factor)
        grids[name] = dataclasses.replace(ranges, tensors={**ranges.tensors, tensor: changed})
    recipe = dataclasses.replace(setting.recipe, ranges=dataclasses.replace(file, grids=grids))
    return dataclasses.replace(setting, recipe=recipe)


def test_a_sound_variant_has_nothing_that_explains_a_failure(build):
    setting = build()
    names, diagnosis = diagnosed(setting, trt(setting))
    assert names == []
    tried = [cause.name for cause in diagnosis.causes]
    assert tried[0] == "saturating layer"
    assert tried[2] == "sensitive layer"
    assert diagnosis.as_it_is.status != "fail"


@pytest.mark.parametrize("make", [make_tensorrt, make_cpu])
def test_a_tensor_that_clips_is_named_with_the_range_it_needs(build, make):
    setting = with_range(build(), CLIPPED, 1 / 100)
    names, diagnosis = diagnosed(setting, make(setting.recipe, {}, QUIET))
    assert diagnosis.as_it_is.status == "fail"
    assert names[0] == "saturating layer"
    cause = diagnosis.causes[0]
    assert cause.tried == f"'{CLIPPED}' given its range"
    assert cause.judgement.sqnr_db > 25
    assert "calibration images that reach so far" in cause.cure


def test_a_range_that_is_far_too_wide_lies_at_the_calibration_not_at_the_layer(build):
    setting = with_range(build(), CLIPPED, 400)
    names, diagnosis = diagnosed(setting, trt(setting))
    assert diagnosis.as_it_is.status == "fail"
    assert names == ["calibration images unlike those judged by", "sensitive layer"]


def test_a_wrong_preparation_that_does_not_mend_the_variant_is_shown_but_not_the_reason(
    build, write_scans, tmp_path
):
    usual = write_scans(tmp_path / "usual", range(10), lambda scan: scan / 2)
    rare = write_scans(tmp_path / "rare", range(1000, 1120), lambda scan: scan / 2)
    write_scans(rare, range(1120, 1124), lambda scan: 16 - scan)
    setting = dataclasses.replace(build(calibration=usual, images=10), judged=read(rare))
    names, diagnosis = diagnosed(setting, trt(setting))
    dim = diagnosis.causes[0]
    assert dim.name == "wrong normalisation"
    assert dim.shown
    assert dim.judgement.status == "fail"
    assert "wrong normalisation" not in names


@pytest.fixture(scope="session")
def uneven(digits):
    """The digits' graph with one channel 4,096 times as large, and as much undone behind it."""
    module = copy.deepcopy(digits.module)
    with torch.no_grad():
        block = module.layer2[1]
        block.bn1.weight[5] *= 4096
        block.bn1.bias[5] *= 4096
        block.conv2.weight[:, 5] /= 4096
    return float32(fold(dataclasses.replace(digits, module=module)), 18, QUIET).graph


@pytest.mark.parametrize("make", [make_tensorrt, make_cpu])
def test_a_layer_that_needs_more_than_8_bits_is_named(build, uneven, make):
    setting = build(uneven)
    names, diagnosis = diagnosed(setting, make(setting.recipe, {}, QUIET))
    assert diagnosis.as_it_is.status == "fail"
    assert names == ["sensitive layer"]
    cause = next(cause for cause in diagnosis.causes if cause.explains)
    assert "'layer2.1.conv2'" in cause.tried
    assert "--keep-float layer2.1.conv" in cause.cure


def test_calibration_images_unlike_those_judged_by_are_named(build, write_scans, tmp_path):
    dim = write_scans(tmp_path / "dim", range(80), lambda scan: scan / 6)
    setting = build(calibration=dim, images=80)
    names, diagnosis = diagnosed(setting, trt(setting))
    assert diagnosis.as_it_is.status == "fail"
    assert names == ["calibration images unlike those judged by"]


def test_too_few_calibration_images_are_named_where_as_many_others_do_no_better(
    build, write_scans, tmp_path
):
    usual = write_scans(tmp_path / "usual", range(10), lambda scan: scan / 2)
    rare = write_scans(tmp_path / "rare", range(1000, 1120), lambda scan: scan / 2)
    write_scans(rare, range(1120, 1128), lambda scan: 0 * scan + STRIPES)
    setting = dataclasses.replace(build(calibration=usual, images=10), judged=read(rare))
    names, diagnosis = diagnosed(setting, trt(setting))
    assert diagnosis.as_it_is.status == "fail"
    assert names == ["too few images"]
    assert "better 300" in diagnosis.causes[1].cure


@pytest.mark.parametrize("make", [make_tensorrt, make_cpu])
def test_without_calibration_images_a_preparation_is_judged_by_halves(build, digits, make):
    wrong = dataclasses.replace(digits.image, mean=(0.0,), std=(1.0,))
    sound = build()
    form = dataclasses.replace(sound.form, image=wrong)
    recipe = dataclasses.replace(sound.recipe, form=form)
    setting = dataclasses.replace(sound, form=form, recipe=recipe, calibration=())
    names, diagnosis = diagnosed(setting, make(setting.recipe, {}, QUIET))
    assert names == ["missing normalisation"]
    (cause,) = diagnosis.causes
    assert cause.judgement.status != "fail"
    assert cause.judgement.sqnr_db > diagnosis.as_it_is.sqnr_db + 3
    assert "give --calibration-data FOLDER instead" in cause.evidence


def test_images_that_are_prepared_wrongly_are_told_before_all_else(build, digits):
    wrong = dataclasses.replace(digits.image, mean=(0.0,), std=(1.0,))
    sound = build()
    form = dataclasses.replace(sound.form, image=wrong)
    recipe = dataclasses.replace(sound.recipe, form=form)
    setting = dataclasses.replace(sound, form=form, recipe=recipe)
    names, diagnosis = diagnosed(setting, trt(setting))
    assert names == ["missing normalisation"]
    (cause,) = diagnosis.causes
    assert cause.judgement.sqnr_db > diagnosis.as_it_is.sqnr_db
    assert cause.judgement.status != "fail"


def amplified(graph, factor):
    """Return a copy of the graph that multiplies its images, and undoes that at once."""
    made = graph.clone()
    value = images = made.graph.inputs[0]
    uses = tuple(images.uses())
    constant = ir.val("factor", const_value=ir.tensor(np.float32(factor), name="factor"))
    made.graph.register_initializer(constant)
    for kind, name in (("Mul", "up"), ("Div", "down")):
        node = ir.node(kind, [value, constant], name=name)
        value = node.outputs[0]
        value.name, value.type, value.shape = f"{name}.result", images.type, images.shape
        made.graph.insert_before(uses[0].node, node)
    for reader, index in uses:
        reader.replace_input_with(index, value)
    return made


def test_a_layer_that_leaves_float16_is_named(build, simplified):
    setting = build()
    loud = dataclasses.replace(setting, graph=amplified(simplified, 60000.0))
    names, diagnosis = diagnosed(loud, make_float16(loud.graph, {}, loud.form, QUIET))
    assert diagnosis.as_it_is.status == "fail"
    assert names == ["saturating layer"]
    (cause,) = diagnosis.causes
    assert cause.tried == "'up' and 1 more in float32"
    assert cause.judgement.status != "fail"
    assert "--calibration-data" in cause.cure


def test_float16_that_holds_everything_has_nothing_that_explains_a_failure(build, simplified):
    setting = build()
    assert diagnosed(setting, make_float16(simplified, {}, setting.form, QUIET))[0] == []
