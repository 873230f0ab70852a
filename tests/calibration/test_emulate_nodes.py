"""Emulating: it acts, it abstains, the numbers hold. Export's tests compare it with its graphs."""

import gc
import tracemalloc

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from calibration.choose import choose
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.measure import measure
from calibration.probe import Probe
from calibration.ranges import GRIDS, INT8, UINT8, ActivationRanges, Range
from calibration.rehearse import Rehearsal
from calibration.score import float_logits, score_logits
from runtime.errors import OptionError

IMAGES = np.random.default_rng(0).standard_normal((6, 1, 12, 10), dtype=np.float32)
GRID = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)


@pytest.fixture(scope="module")
def measurement(graph):
    return measure(graph, [IMAGES])


def ranges_of(grid, **tensors: tuple[float, float]) -> ActivationRanges:
    spans = {name: Range(low=low, high=high) for name, (low, high) in tensors.items()}
    return ActivationRanges(grid=grid.name, method="minmax", tensors=spans)


def sources(graph):
    """The tensor that each input of each node comes from, by the node's name."""
    return {node.name: [value.name for value in node.inputs if value] for node in graph.graph}


@GRID
def test_a_node_reads_points_of_the_grid_and_weights_of_127_steps(graph, measurement, grid):
    fitting = choose(measurement, "minmax", grid)
    # Half as wide, so that values lie beyond both ends, whichever images are drawn.
    ranges = ranges_of(grid, **{n: (r.low / 2, r.high / 2) for n, r in fitting.tensors.items()})
    emulated = emulate_nodes(graph, ranges, grid, ["stem"])
    scale, zero_point = grid.fit(ranges["images"])
    # Of int8 that is -128: scales are made for 127 on both sides, but ONNX saturates at the type's.
    ends = np.iinfo(grid.name)
    steps = np.clip(np.rint(IMAGES / scale) + zero_point, ends.min, ends.max)
    images = ((steps - zero_point) * scale).astype(np.float32)
    weights = graph.graph.initializers["stem_weight"].const_value.numpy()
    step = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 127
    rounded = graph.clone()
    rounded.graph.initializers["stem_weight"].const_value = ir.tensor(
        np.rint(weights / step) * step
    )
    expected = Probe(rounded, ["stem"]).run(images)["stem"]
    np.testing.assert_allclose(Probe(emulated, ["stem"]).run(IMAGES)["stem"], expected, atol=1e-4)


def test_for_tensorrt_a_shortcut_is_rounded_with_the_convolution_that_takes_the_add_in(
    graph, measurement
):
    ranges = choose(measurement, "minmax", INT8)
    alone = sources(emulate_nodes(graph, ranges, INT8, ["conv1"]))
    assert alone["sum"] == ["conv2", "pool"]
    fused = sources(emulate_nodes(graph, ranges, INT8, ["conv2"]))
    assert fused["sum"] == ["conv2", "pool:rounded"]
    assert fused["conv2"][0] == "conv1_relu:rounded"
    assert fused["conv1"][0] == "pool"


def test_for_the_cpu_what_a_node_makes_is_rounded_behind_its_relu(graph, measurement):
    emulated = emulate_nodes(graph, choose(measurement, "minmax", UINT8), UINT8, ["conv1"])
    read = sources(emulated)
    assert read["conv1"][0] == read["sum"][1] == "pool:rounded"
    assert read["conv1_relu"] == ["conv1"]
    assert read["conv2"][0] == "conv1_relu:rounded"
    onnx.checker.check_model(ir.to_proto(emulated), full_check=True)


def test_sums_of_whole_numbers_are_not_quantizable():
    graph = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 18]>
        g (float[batch, 1, height, width] images) => (float[batch, 1, height, width] sum) {
            [shape] shape = Shape(images)
            [none] none = Sub(shape, shape)
            [whole] whole = Add(shape, none)
            [same] same = Reshape(images, whole)
            [real] sum = Add(same, images)
        }"""
    )
    assert quantizable(graph, UINT8) == ("real",)


@GRID
def test_nothing_named_changes_nothing_and_the_original_stays_as_it_is(graph, measurement, grid):
    before = ir.to_proto(graph).SerializeToString()
    ranges = choose(measurement, "minmax", grid)
    assert ir.to_proto(emulate_nodes(graph, ranges, grid, [])).SerializeToString() == before
    emulate_nodes(graph, ranges, grid, quantizable(graph, grid))
    assert ir.to_proto(graph).SerializeToString() == before


def test_what_cannot_be_emulated_is_refused(graph):
    with pytest.raises(OptionError, match="given for int8; expected for uint8"):
        emulate_nodes(graph, ranges_of(INT8, pool=(0, 1)), UINT8, ["stem"])
    with pytest.raises(OptionError, match="no range was measured for the tensor 'images'"):
        emulate_nodes(graph, ranges_of(INT8, conv2=(-1, 1)), INT8, ["stem"])
    nameless = graph.clone()
    nameless.graph[2].name = ""
    with pytest.raises(OptionError, match="nodes without names"):
        quantizable(nameless, INT8)


@GRID
def test_a_rehearsal_gives_what_a_graph_of_these_ranges_gives(graph, measurement, grid):
    rehearsal = Rehearsal(graph, choose(measurement, "minmax", grid), grid)
    inner = [name for name in quantizable(graph, grid) if name not in ("mean", "flat", "logits")]
    head = graph.graph.initializers
    weights, bias = (head[name].const_value.numpy() for name in ("fc_weight", "fc_bias"))
    for method in ("minmax", "mse", "minmax"):
        ranges = choose(measurement, method, grid)
        expected = float_logits(emulate_nodes(graph, ranges, grid, inner), [IMAGES])
        found, features = rehearsal.run(ranges, [IMAGES[:4], IMAGES[4:]])
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_allclose(features @ weights.T + bias, expected, atol=1e-3)


def test_a_rehearsal_that_is_over_holds_no_weights_until_the_collector_comes(make_graph):
    draw = np.random.default_rng(0).standard_normal
    wide = make_graph(
        stem_weight=draw((256, 1, 3, 3)),
        stem_bias=draw(256),
        conv1_weight=draw((256, 256, 3, 3)),
        conv2_weight=draw((256, 256, 3, 3)),
        fc_weight=draw((4, 256)),
    )
    ranges = choose(measure(wide, [IMAGES]), "minmax", INT8)
    weights = 2 * 256 * 256 * 9 * np.float32().nbytes
    gc.disable()
    tracemalloc.start()
    try:
        Rehearsal(wide, ranges, INT8).run(ranges, [IMAGES])
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert peak > weights
    assert held < weights / 8


@GRID
def test_what_is_given_within_the_graph_is_read_rounded_and_given_as_it_is(
    graph, measurement, grid
):
    maps = graph.clone()
    made = {value.name: value for node in maps.graph for value in node.outputs}
    maps.graph.outputs.insert(0, made["conv1_relu"])
    ranges = choose(measurement, "minmax", grid)
    emulated = emulate_nodes(maps, ranges, grid, ["conv2"])
    assert sources(emulated)["conv2"][0] == "conv1_relu:rounded"
    assert [output.name for output in emulated.graph.outputs] == ["conv1_relu", "logits"]
    found, features = Rehearsal(maps, ranges, grid).run(ranges, [IMAGES])
    assert features is None
    reference = float_logits(maps, [IMAGES])
    assert found.shape == reference.shape == (len(IMAGES), reference.shape[1])
    assert 20 < score_logits(reference, found).sqnr_db < 80


@GRID
def test_fitting_ranges_score_better_than_ranges_too_wide_or_too_narrow(graph, measurement, grid):
    reference = float_logits(graph, [IMAGES])
    fitting = choose(measurement, "minmax", grid)
    rehearsal = Rehearsal(graph, fitting, grid)

    def scaled(factor: float) -> float:
        spans = {n: (r.low * factor, r.high * factor) for n, r in fitting.tensors.items()}
        logits, _ = rehearsal.run(ranges_of(grid, **spans), [IMAGES])
        return score_logits(reference, logits).sqnr_db

    assert scaled(1) > 30
    assert scaled(1) > scaled(32) + 10
    assert scaled(1) > scaled(1 / 8) + 10
