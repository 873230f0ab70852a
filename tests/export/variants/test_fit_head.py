"""Heads of int8 variants are refitted on calibration images, of either kind of input."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from calibration.choose import choose
from calibration.images import choose_images
from calibration.measure import measure
from calibration.rounded_tensors import head
from export.pixels import fold_normalisation
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantize import quantize
from export.variants.fit_head import prepare_head_fit
from export.variants.made import Form
from runtime.open_image import load_image
from runtime.terminal import Screen

QUIET = Screen(quiet=True)


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
    measured = measure(simplified, [images])

    def make_one(placement, layout):
        form = Form(image=digits.image, pixels=layout, stamp=lambda graph: b"")
        whole = simplified
        if layout:
            whole = fold_normalisation(simplified, digits.image, placement, layout)
        ranges = choose(measured, "minmax", placement.grid)
        return form, quantize(whole, ranges, placement, head(simplified))

    return make_one


@pytest.mark.parametrize("layout", ["", "NCHW", "NHWC"])
@pytest.mark.parametrize("placement", [TENSORRT, ONNXRUNTIME], ids=lambda each: each.name)
def test_the_logits_come_nearer_to_those_of_the_float_graph(
    simplified, files, make, placement, layout
):
    form, quantized = make(placement, layout)
    fit = prepare_head_fit(simplified, files, {}, form, QUIET)
    assert len(fit.pixels) == 140  # the broken one is passed over
    in_integers = placement is ONNXRUNTIME
    refitted = fit.fit_in_integers(quantized) if in_integers else fit.fit_as_written(quantized)
    given = np.stack([load_image(file.path, form.image, layout) for file in files[:64]])
    before, after = (
        np.square(run(graph, given, in_integers) - fit.expected[:64]).sum()
        for graph in (quantized, refitted)
    )
    assert after < before


def test_a_graph_of_a_fixed_batch_is_refitted_on_images_that_do_not_fill_it(
    simplified, files, make
):
    form, quantized = make(ONNXRUNTIME, "")
    weights = []
    for batch, graphs in ((64, (simplified, quantized)), (9, _fixed(9, simplified, quantized))):
        fit = prepare_head_fit(graphs[0], files, {}, form, QUIET)
        assert (fit.batch, len(fit.expected)) == (batch, 140)
        weights.append(gemm(fit.fit_in_integers(graphs[1])).inputs[1].const_value.numpy())
    np.testing.assert_allclose(*weights, atol=1e-3)


def test_what_the_calibration_has_seen_is_not_computed_again(simplified, files, make):
    form, _ = make(TENSORRT, "")
    fit = prepare_head_fit(simplified, files, {}, form, QUIET)
    readable = [file for file in files if file.path.name != "broken.png"]
    answers = {file.sha256: row for file, row in zip(readable, fit.expected, strict=True)}
    no_graph = simplified.clone()
    no_graph.graph.outputs.clear()  # running it would be an error
    again = prepare_head_fit(no_graph, files, answers, form, QUIET)
    assert np.array_equal(again.expected, fit.expected)


def test_few_images_leave_the_head_alone(simplified, files, make):
    assert prepare_head_fit(simplified, files[:100], {}, make(TENSORRT, "")[0], QUIET) is None
    assert prepare_head_fit(simplified, (), {}, make(TENSORRT, "")[0], QUIET) is None


def _fixed(batch, *graphs):
    copies = [graph.clone() for graph in graphs]
    for graph in copies:
        graph.graph.inputs[0].shape = ir.Shape([batch, *graph.graph.inputs[0].shape[1:]])
    return copies


def run(graph, images, in_integers):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", str(int(not in_integers)))
    model = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0].astype(np.float64)


def gemm(graph):
    return next(node for node in graph.graph if node.op_type == "Gemm")
