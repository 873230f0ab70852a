"""Heads of int8 variants are refitted on calibration images, of either kind of input."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from calibration.choose import choose
from calibration.images import choose_images
from calibration.measure import measure
from export.fold import fold
from export.pixels import fold_normalisation
from export.quantization.placement import TENSORRT, head
from export.quantization.refit_head import head_features
from export.quantize import quantize
from export.recipes import float32
from export.variants.fit_head import prepare_head_fit
from export.variants.made import Form
from runtime.images import load_image
from runtime.terminal import Screen

QUIET = Screen(quiet=True)


@pytest.fixture(scope="module")
def simplified(digits):
    return float32(fold(digits), 18, QUIET).graph


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """140 scans, and a file that is no image."""
    folder = tmp_path_factory.mktemp("scans")
    for index, scan in enumerate(load_digits().images[:140]):
        pixels = np.rint(scan * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return choose_images(folder, 200)[0]


@pytest.fixture(scope="module")
def make(simplified, digits, files):
    """Return a function that makes the form of an input, and a graph quantized for it."""
    images = np.stack([load_image(file.path, digits.image) for file in files[:64]])
    ranges = choose(measure(simplified, [images]), "minmax", TENSORRT.grid)

    def make_one(layout):
        form = Form(image=digits.image, pixels=layout, stamp=lambda graph: b"")
        whole = simplified
        if layout:
            whole = fold_normalisation(simplified, digits.image, TENSORRT, layout)
        return form, quantize(whole, ranges, TENSORRT, head(simplified))

    return make_one


@pytest.mark.parametrize("layout", ["", "NCHW", "NHWC"])
def test_the_logits_come_nearer_to_those_of_the_float_graph(simplified, files, make, layout):
    form, quantized = make(layout)
    fit = prepare_head_fit(simplified, files, form, QUIET)
    assert len(fit.pixels) == 140  # the broken one is passed over
    refitted = fit.fit(quantized)
    shape = {"": (64, 1, 8, 8), "NCHW": (64, 1, 8, 8), "NHWC": (64, 8, 8, 1)}[layout]
    given = fit.pixels[:64].reshape(shape)
    if not layout:
        given = np.stack([load_image(file.path, form.image) for file in files[:64]])
    found = head_features(quantized, [given])
    wanted = _logits(simplified, fit.expected[:64])
    assert _noise(wanted, refitted, found) < _noise(wanted, quantized, found)


def test_few_images_leave_the_head_alone(simplified, files, make):
    assert prepare_head_fit(simplified, files[:100], make("")[0], QUIET) is None
    assert prepare_head_fit(simplified, (), make("")[0], QUIET) is None


def _noise(wanted, graph, features):
    return np.square(wanted - _logits(graph, features)).sum()


def _logits(graph, features):
    gemm = next(node for node in graph.graph if node.op_type == "Gemm")
    weight, bias = (value.const_value.numpy() for value in gemm.inputs[1:])
    return features @ (weight.T if gemm.attributes.get_int("transB", 0) else weight) + bias
