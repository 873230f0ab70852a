"""What calibration emulates is what export writes: the same logits, whichever nodes are in int8."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from calibration.choose import choose
from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.sensitivity.cut import cut, take
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantize import quantize

PLACEMENTS = pytest.mark.parametrize("placement", [TENSORRT, ONNXRUNTIME], ids=lambda p: p.name)


def run(graph, images):
    # As written: ONNX Runtime must neither round more than the graph says nor fuse.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def exported(graph, ranges, placement, nodes):
    """Quantizes these nodes alone; TensorRT's Add is a part of the convolution before it."""
    free = ("Add", "MaxPool", "Pad", "Flatten") if placement is TENSORRT else ()
    keep = [n.name for n in graph.graph if n.name not in nodes and n.op_type not in free]
    return quantize(graph, ranges, placement, keep)


@PLACEMENTS
def test_any_node_in_int8_gives_the_logits_of_the_graph_that_export_writes(
    simplified, measurement, images, placement
):
    ranges = choose(measurement, "mse", placement.grid)
    names = quantizable(simplified, placement.grid)
    float_logits = run(simplified, images)
    changed = 0
    for nodes in [*((name,) for name in names), names]:
        emulated = run(emulate_nodes(simplified, ranges, placement.grid, nodes), images)
        expected = run(exported(simplified, ranges, placement, nodes), images)
        np.testing.assert_array_equal(emulated, expected, err_msg=str(nodes))
        changed += not np.array_equal(emulated, float_logits)
    assert changed == len(names) + 1


@PLACEMENTS
def test_a_stretch_of_the_graph_is_quantized_as_within_the_graph(
    simplified, measurement, images, placement
):
    ranges = choose(measurement, "minmax", placement.grid)
    names = quantizable(simplified, placement.grid)
    for stretch in cut(simplified, names)[-4:]:
        nodes = [name for name in stretch.nodes if name in names]
        entering = run(take(simplified, "images", stretch.source), images)
        part = take(simplified, stretch.source, stretch.result)
        leaving = run(exported(part, ranges, placement, nodes), entering)
        logits = leaving
        if stretch.result != "logits":
            logits = run(take(simplified, stretch.result, "logits"), leaving)
        np.testing.assert_array_equal(
            logits, run(exported(simplified, ranges, placement, nodes), images)
        )
