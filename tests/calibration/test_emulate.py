"""Emulating: it acts, it abstains, the numbers hold."""

import math

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from calibration.choose import choose
from calibration.emulate import emulate
from calibration.measure import measure
from calibration.probe import Probe
from calibration.ranges import GRIDS, INT8, UINT8, ActivationRanges, Range
from calibration.score import float_logits, score, score_logits
from runtime.errors import OptionError

IMAGES = np.random.default_rng(0).standard_normal((6, 1, 12, 10), dtype=np.float32)


@pytest.fixture(scope="module")
def measurement(graph):
    return measure(graph, [IMAGES])


def ranges_of(grid, **tensors: tuple[float, float]) -> ActivationRanges:
    spans = {name: Range(low=low, high=high) for name, (low, high) in tensors.items()}
    return ActivationRanges(grid=grid.name, method="minmax", tensors=spans)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_rounded_tensor_holds_only_points_of_the_grid(graph, measurement, grid):
    ranges = choose(measurement, "mse", grid)
    rounded = emulate(graph, ranges, grid, ["images"])
    scale, zero_point = grid.fit(ranges["images"])
    steps = np.clip(np.rint(IMAGES / scale) + zero_point, grid.lowest, grid.highest)
    expected = ((steps - zero_point) * scale).astype(np.float32)
    actual = Probe(rounded, ["conv2"]).run(IMAGES)["conv2"]
    np.testing.assert_allclose(actual, Probe(graph, ["conv2"]).run(expected)["conv2"], atol=1e-5)


def test_every_reader_of_a_tensor_reads_it_rounded(graph, measurement):
    rounded = emulate(graph, choose(measurement, "minmax", UINT8), UINT8, ["pool"])
    readers = [node for node in rounded.graph if node.op_type in ("Conv", "Add")]
    assert [node.inputs[-1].name for node in readers if node.op_type == "Add"] == ["pool:rounded"]
    assert [node.inputs[0].name for node in readers if node.op_type == "Conv"][1] == "pool:rounded"
    onnx.checker.check_model(ir.to_proto(rounded), full_check=True)


def test_tensors_that_are_not_named_and_the_original_stay_as_they_are(graph, measurement):
    before = ir.to_proto(graph).SerializeToString()
    rounded = emulate(graph, choose(measurement, "minmax", INT8), INT8, [])
    assert ir.to_proto(rounded).SerializeToString() == before
    emulate(graph, choose(measurement, "minmax", INT8), INT8, ["pool"])
    assert ir.to_proto(graph).SerializeToString() == before


def test_what_cannot_be_emulated_is_refused(graph):
    with pytest.raises(OptionError, match="given for int8; expected for uint8"):
        emulate(graph, ranges_of(INT8, pool=(0, 1)), UINT8, ["pool"])
    with pytest.raises(OptionError, match="the graph has no tensor 'layer9'"):
        emulate(graph, ranges_of(INT8, layer9=(0, 1)), INT8, ["layer9"])
    with pytest.raises(OptionError, match="no range was measured for the tensor 'pool'"):
        emulate(graph, ranges_of(INT8, conv2=(-1, 1)), INT8, ["pool"])


@pytest.mark.parametrize("grid", GRIDS)
def test_fitting_ranges_score_better_than_ranges_too_wide_or_too_narrow(graph, measurement, grid):
    reference = float_logits(graph, [IMAGES])
    fitting = choose(measurement, "minmax", grid)

    def scaled(factor: float) -> float:
        spans = {n: (r.low * factor, r.high * factor) for n, r in fitting.tensors.items()}
        return score(graph, [IMAGES], reference, ranges_of(grid, **spans), grid).sqnr_db

    assert scaled(1) > 30
    assert scaled(1) > scaled(8) + 10
    assert scaled(1) > scaled(1 / 8) + 10


def test_sqnr_is_ten_decibel_a_power_of_ten():
    reference = np.array([[3.0, 4.0], [0.0, 5.0]])
    off = reference + np.array([[0.0, 0.0], [0.5, 0.5]])
    assert score_logits(reference, off).sqnr_db == pytest.approx(20)
    assert score_logits(reference, reference).sqnr_db == math.inf


def test_agreement_is_the_share_of_equal_best_classes():
    reference = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    swapped = np.array([[0.0, 1.0], [0.9, 0.0], [1.0, 0.0], [1.0, 0.5]])
    assert score_logits(reference, swapped).top1_agreement == 0.75
