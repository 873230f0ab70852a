"""Graphs that are quantized by hand."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest


@pytest.fixture(scope="session")
def graph_of():
    """Makes a graph of ONNX text with the initializer "weights", int8 [4, 4, 1, 1]; it gets values.

    Nodes are named after a layer conv1 and what they make.
    """

    def make(text: str) -> ir.Model:
        model = onnx.parser.parse_model(text)
        values = np.random.default_rng(0).integers(-127, 128, (4, 4, 1, 1)).astype(np.int8)
        kept = [each for each in model.graph.initializer if each.name != "weights"]
        model.graph.ClearField("initializer")
        model.graph.initializer.extend([*kept, onnx.numpy_helper.from_array(values, "weights")])
        for node in model.graph.node:
            node.name = f"conv1.{node.output[0]}"
        return ir.from_proto(model)

    return make
