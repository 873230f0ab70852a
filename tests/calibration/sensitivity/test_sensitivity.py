"""What a node alone costs: parts of the graph say what the whole one says, and find the culprit."""

import math

import numpy as np
import onnx_ir as ir
import pytest

from calibration.choose import choose
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.measure import measure
from calibration.ranges import GRIDS, INT8, UINT8
from calibration.score import float_logits, score_logits
from calibration.sensitivity.sensitivity import BLOCK, sensitivity, worst_first
from runtime.terminal import Screen

rng = np.random.default_rng(0)
BATCHES = [rng.standard_normal((3, 1, 12, 10), dtype=np.float32) for _ in range(4)]
QUIET = Screen(quiet=True)


@pytest.fixture(scope="module")
def named(graph):
    """The network, with names for its nodes."""
    graph = graph.clone()
    for node in graph.graph:
        node.name = f"block.{node.outputs[0].name}"
    return graph


def quantizer(graph, grid):
    ranges = choose(measure(graph, BATCHES), "minmax", grid)
    return lambda part, names: emulate_nodes(part, ranges, grid, names)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_each_cost_is_that_of_the_whole_graph_with_these_nodes_quantized(named, grid):
    quantize, nodes = quantizer(named, grid), quantizable(named, grid)
    found = sensitivity(named, [BATCHES], quantize, nodes, nodes[:2], QUIET)
    expected = float_logits(named, BATCHES)
    assert found.images == 12
    assert [cost.name for cost in found.nodes] == list(nodes)
    for cost in (*found.nodes, *found.blocks):
        whole = score_logits(expected, float_logits(quantize(named, cost.nodes), BATCHES))
        assert cost.score.sqnr_db == pytest.approx(whole.sqnr_db, abs=0.5)
        assert cost.score.top1_agreement == whole.top1_agreement
    together = score_logits(expected, float_logits(quantize(named, nodes[:2]), BATCHES))
    assert found.together.sqnr_db == pytest.approx(together.sqnr_db, abs=0.1)


def test_a_block_costs_what_its_nodes_cost_together(named):
    quantize, nodes = quantizer(named, UINT8), quantizable(named, UINT8)
    found = sensitivity(named, [BATCHES], quantize, nodes, ["block.stem"], QUIET)
    [block] = found.blocks
    assert block.kind == BLOCK
    assert block.name == "block"
    assert block.nodes == ("block.conv1", "block.conv2", "block.sum")
    together = float_logits(quantize(named, block.nodes), BATCHES)
    expected = score_logits(float_logits(named, BATCHES), together).sqnr_db
    assert block.score.sqnr_db == pytest.approx(expected, abs=0.5)


def test_chunks_change_nothing(named):
    quantize, nodes = quantizer(named, INT8), quantizable(named, INT8)
    whole = sensitivity(named, [BATCHES], quantize, nodes, nodes, QUIET)
    pieces = sensitivity(named, [BATCHES[:1], BATCHES[1:]], quantize, nodes, nodes, QUIET)
    for one, other in zip(whole.nodes, pieces.nodes, strict=True):
        assert one.score.sqnr_db == pytest.approx(other.score.sqnr_db, abs=0.01)


def test_the_node_with_the_rough_weights_is_the_worst(make_graph):
    fine, rough = rng.standard_normal((2, 8, 8, 3, 3)) / 9
    rough[:, 0, 0, 0] = 40  # one weight a channel takes the scale from all others ...
    fine[0] /= 100  # ... and sees next to nothing
    graph = make_graph(conv1_weight=fine, conv2_weight=rough)
    quantize, nodes = quantizer(graph, INT8), quantizable(graph, INT8)
    costs = worst_first(sensitivity(graph, [BATCHES], quantize, nodes, nodes, QUIET).nodes)
    assert costs[0].name == "conv2"
    assert [cost.score.sqnr_db for cost in costs] == sorted(cost.score.sqnr_db for cost in costs)


def test_quantizing_nothing_costs_nothing(named):
    found = sensitivity(
        named, [BATCHES], lambda part, names: part, ["block.conv1"], ["block.conv1"], QUIET
    )
    assert found.together.sqnr_db == math.inf
    assert found.nodes[0].score.sqnr_db > 120  # rounding of float32: parts are fused otherwise
    assert isinstance(named, ir.Model)
