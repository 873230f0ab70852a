"""A small residual network, images of digits and photographs, and a bundle of the network."""

import os
from pathlib import Path

import elpv_dataset
import numpy as np
import onnx_ir as ir
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from runtime.image_spec import ImageSpec
from runtime.manifest import Manifest, ModelInfo, WeightsInfo
from runtime.publishing.publish import publish
from runtime.variant import TensorInfo, Variant

TEXT = """
<ir_version: 10, opset_import: ["" : 18]>
small (float[batch, 1, height, width] images) => (float[batch, 4] logits) {
    stem = Conv<pads = [1, 1, 1, 1]>(images, stem_weight, stem_bias)
    stem_relu = Relu(stem)
    pool = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(stem_relu)
    conv1 = Conv<pads = [1, 1, 1, 1]>(pool, conv1_weight)
    conv1_relu = Relu(conv1)
    conv2 = Conv<pads = [1, 1, 1, 1]>(conv1_relu, conv2_weight)
    sum = Add(conv2, pool)
    sum_relu = Relu(sum)
    mean = GlobalAveragePool(sum_relu)
    flat = Flatten(mean)
    logits = Gemm<transB = 1>(flat, fc_weight, fc_bias)
}
"""
SHAPES = {
    "stem_weight": (8, 1, 3, 3),
    "stem_bias": (8,),
    "conv1_weight": (8, 8, 3, 3),
    "conv2_weight": (8, 8, 3, 3),
    "fc_weight": (4, 8),
    "fc_bias": (4,),
}
SPEC = ImageSpec(resize=16, crop=16, mean=(0.3,), std=(0.4,), channels="L")


@pytest.fixture(scope="session")
def make_graph():
    """Makes the network with seeded weights, of which some may be given."""

    def make(seed: int = 0, text: str = TEXT, **given: np.ndarray) -> ir.Model:
        rng = np.random.default_rng(seed)
        drawn = {
            name: rng.standard_normal(shape) / np.prod(shape[1:]) ** 0.5
            for name, shape in SHAPES.items()
        }
        weights = {name: value.astype(np.float32) for name, value in (drawn | given).items()}
        graph = ir.from_onnx_text(text, [ir.tensor(value, name=n) for n, value in weights.items()])
        for node in graph.graph:  # as those of an exported graph, they have names
            node.name = node.outputs[0].name
        return graph

    return make


@pytest.fixture(scope="session")
def graph(make_graph) -> ir.Model:
    """The network; no test changes it."""
    return make_graph()


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A folder of sixty scanned digits, 8x8 grey."""
    folder = tmp_path_factory.mktemp("digits")
    for index, scan in enumerate(load_digits().images[:60]):
        pixels = np.rint(scan * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="session")
def cells() -> Path:
    """The folder of 2,624 photographs of solar cells, 300x300 grey."""
    return Path(os.path.dirname(elpv_dataset.__file__)) / "data" / "images"


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory):
    """Publishes a graph as a bundle and returns its folder."""

    def publish_it(graph: ir.Model, spec: ImageSpec = SPEC) -> Path:
        folder = tmp_path_factory.mktemp("bundles") / "small"
        tensors = (
            TensorInfo(name="images", dtype="float", shape=("batch", "1", "height", "width")),
            TensorInfo(name="logits", dtype="float", shape=("batch", "4")),
        )
        variant = Variant(
            file="model.onnx",
            precision="float32",
            opset=18,
            input=tensors[0],
            output=tensors[1],
            golden_tolerances=(),
        )
        publish(
            folder,
            {"model.onnx": ir.to_proto(graph).SerializeToString()},
            lambda files: Manifest(
                schema_version=1,
                model=ModelInfo(name="small", classes=4, parameters=1, macs=1),
                weights=WeightsInfo(origin="random", detail="seed 0", sha256="0" * 64),
                image=spec,
                labels=(),
                variants={"fp32": variant},
                golden=(),
                tools={},
                files=files,
            ),
        )
        return folder

    return publish_it
