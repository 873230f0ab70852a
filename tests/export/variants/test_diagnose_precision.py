"""Naming why a variant fails: each usual cause is made, and named; none is where there is none."""

import dataclasses

import numpy as np
import onnx_ir as ir

from calibration.choose import choose
from calibration.images import choose_images
from calibration.measure import measure
from calibration.ranges import Range
from export.quantization.placement import TENSORRT
from export.variants.diagnose_precision import Patient, diagnose_int8
from export.variants.evaluation import Evaluation, read_evaluation
from runtime.terminal import Screen

QUIET = Screen(quiet=True)


def read(folder):
    """Return the images of class folders, with their classes."""
    files, _ = choose_images(folder, 1000)
    classes = tuple(int(file.path.parent.name) for file in files)
    return Evaluation(files=files, classes=classes, source="")


def patient(graph, image, scans):
    calibration, judged = (read(scans / part) for part in ("calibration", "judged"))
    return Patient(graph=graph, image=image, calibration=calibration, judged=judged, kept_float=())


def measured(sick):
    batches = [part.images for part in read_evaluation(sick.calibration, sick.image, "", 40)]
    return choose(measure(sick.graph, batches), "minmax", TENSORRT.grid)


def explained(sick, change=lambda ranges: ranges):
    """Return what explains the failure, in order, and all that was tried."""
    causes = diagnose_int8(sick, TENSORRT, change(measured(sick)), QUIET)
    return [cause.name for cause in causes if cause.explains], causes


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


def test_a_sound_variant_has_nothing_that_explains_a_failure(simplified, digits, scans):
    names, causes = explained(patient(simplified, digits.image, scans))
    assert names == []
    assert {"missing normalisation", "wrong crop", "saturating layer", "sensitive layer"} <= {
        cause.name for cause in causes
    }


def test_a_model_that_wants_values_of_0_to_1_misses_them(simplified, digits, scans):
    mean, std = digits.image.mean[0], digits.image.std[0]
    graph = fed_through(simplified, 1 / std, -mean / std)
    names, causes = explained(patient(graph, digits.image, scans))
    assert names[:1] == ["missing normalisation"]
    (cause,) = (cause for cause in causes if cause.explains and cause.name == names[0])
    assert cause.tried == "mean 0, std 1"
    assert "float32 is right on" in cause.found


def test_a_model_of_images_that_are_normalised_twice_is_told(simplified, digits, scans):
    mean, std = digits.image.mean[0], digits.image.std[0]
    graph = fed_through(simplified, std, mean)
    names, _ = explained(patient(graph, digits.image, scans))
    assert names[:1] == ["double normalisation"]


def test_a_crop_that_cuts_the_object_is_told(simplified, digits, scans):
    cut = dataclasses.replace(digits.image, resize=16)
    names, causes = explained(patient(simplified, cut, scans))
    assert names[:1] == ["wrong crop"]
    assert "resized to 8 instead of 16" in [cause.tried for cause in causes if cause.explains]


def test_a_tensor_that_clips_is_named(simplified, digits, scans):
    def narrow(ranges):
        old = ranges.tensors["layer2.1.relu"]
        clipped = Range(low=old.low / 20, high=old.high / 20)
        return dataclasses.replace(ranges, tensors={**ranges.tensors, "layer2.1.relu": clipped})

    names, causes = explained(patient(simplified, digits.image, scans), narrow)
    assert "saturating layer" in names
    (cause,) = (cause for cause in causes if cause.name == "saturating layer")
    assert "'layer2.1.relu' given the range it needs" in cause.tried
