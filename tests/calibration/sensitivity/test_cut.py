"""Cutting: where a single tensor passes, nowhere else; the parts compute what the whole does."""

import numpy as np
import pytest

from calibration.probe import Probe
from calibration.sensitivity.cut import cut, take
from runtime.errors import OptionError

IMAGES = np.random.default_rng(0).standard_normal((3, 1, 12, 10), dtype=np.float32)


def named(graph):
    """The network with names as an exported one has them."""
    graph = graph.clone()
    block = ("conv1", "conv1_relu", "conv2", "sum")
    for node in graph.graph:
        name = node.outputs[0].name
        node.name = f"layer1.0.{name}" if name in block else name
    return graph


CONVOLUTIONS = ("stem", "layer1.0.conv1", "layer1.0.conv2", "logits")


def test_a_residual_block_is_one_stretch_that_forks(graph):
    stretches = cut(named(graph), CONVOLUTIONS)
    assert [stretch.nodes[0] for stretch in stretches] == ["stem", "layer1.0.conv1", "logits"]
    assert [stretch.forked for stretch in stretches] == [False, True, False]
    assert [stretch.source for stretch in stretches] == ["images", "pool", "flat"]
    assert stretches[1].name == "layer1.0"
    assert stretches[1].nodes[-2:] == ("layer1.0.sum", "sum_relu", "mean", "flat")[-2:]


def test_what_one_stretch_makes_the_next_one_reads(graph):
    stretches = cut(named(graph), CONVOLUTIONS)
    whole = Probe(graph, ["logits"]).run(IMAGES)["logits"]
    passing = IMAGES
    for stretch in stretches:
        part = take(graph, stretch.source, stretch.result)
        output = part.graph.outputs[0].name
        passing = Probe(part, [output]).run(passing)[output]
    np.testing.assert_array_equal(passing, whole)


def test_a_part_from_a_tensor_to_itself_hands_it_on(graph):
    part = take(graph, "logits", "logits")
    output = part.graph.outputs[0].name
    values = np.float32([[1, 2, 3, 4]])
    np.testing.assert_array_equal(Probe(part, [output]).run(values)[output], values)


def test_cutting_leaves_the_graph_as_it_is(graph):
    before = [(node.name, [value.name for value in node.inputs]) for node in graph.graph]
    take(graph, "pool", "sum_relu")
    assert [(node.name, [value.name for value in node.inputs]) for node in graph.graph] == before


def test_nodes_that_do_not_exist_are_refused(graph):
    with pytest.raises(OptionError, match=r"given 'layer9\.0\.conv1'; expected names of"):
        cut(named(graph), ["stem", "layer9.0.conv1"])
    with pytest.raises(OptionError, match="given none"):
        cut(graph, [])
    twins = graph.clone()
    twins.graph[3].name = "stem"
    with pytest.raises(OptionError, match="nodes: 2 of the graph are named 'stem'"):
        cut(twins, ["stem"])


def test_a_graph_of_several_outputs_is_refused(graph):
    several = named(graph)
    several.graph.outputs.append(several.graph[2].outputs[0])
    with pytest.raises(OptionError, match="1 inputs and 2 outputs; expected a classifier"):
        cut(several, ["stem"])
