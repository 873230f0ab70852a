"""Equivalence: what says the same passes, what says something else is told."""

import numpy as np
import onnx
import pytest

from export.equivalence import FedRunner, find_difference

TEXT = """
<ir_version: 10, opset_import: ["" : 18]>
graph (float[batch, 3, height, width] images, float[4, 3, 1, 1] weight) => (float[%s] logits) {
    maps = Conv(images, weight)
    pooled = GlobalAveragePool(maps)
    logits = %s
}
"""
WEIGHT = np.random.default_rng(0).standard_normal((4, 3, 1, 1), dtype=np.float32)


def runner(last: str = "Flatten(pooled)", scale: float = 1.0, shape: str = "batch, 4"):
    model = onnx.parser.parse_model(TEXT % (shape, last)).SerializeToString()
    return FedRunner(model, {"weight": WEIGHT * np.float32(scale)})


def test_two_spellings_of_the_same_agree():
    other = runner("Identity(pooled)", shape="batch, 4, 1, 1")
    assert find_difference(runner(), runner()) == ""
    assert "shape" in find_difference(runner(), other)


@pytest.mark.parametrize(("scale", "same"), [(1.00001, True), (1.001, False), (np.nan, False)])
def test_logits_that_move_are_told_with_the_images_they_moved_on(scale, same):
    difference = find_difference(runner(), runner(scale=scale))
    assert (difference == "") is same
    assert same or "on images 1x3x64x96" in difference


def test_a_model_that_answers_nothing_but_zero_is_compared_in_silence():
    assert find_difference(runner(scale=0), runner(scale=0)) == ""
    assert "moved by" in find_difference(runner(scale=0), runner())


def test_a_static_model_is_tried_at_its_one_shape():
    text = (TEXT % ("2, 4", "Flatten(pooled)")).replace("batch, 3, height, width", "2, 3, 9, 7")
    model = FedRunner(onnx.parser.parse_model(text).SerializeToString(), {"weight": WEIGHT})
    assert model.image_shape == (2, 3, 9, 7)
    assert find_difference(model, model) == ""
