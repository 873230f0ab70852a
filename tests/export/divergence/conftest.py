"""Bundles to look at: one that is sound, with int8 graphs, and copies with one thing altered."""

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from calibration.choose import choose
from calibration.equalize import equalize, measure_peaks
from calibration.measure import measure
from calibration.ranges import INT8, UINT8
from calibration.read_graph import read_graph
from calibration.rounded_tensors import head
from export.cli import main
from export.halve import halve
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantize import quantize
from export.samples import sample_images
from runtime.bundle import Bundle
from runtime.open_image import load_image
from runtime.publishing.publish import publish


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """The digits classifier: fp32, fp16 and int8 graphs, the one for TensorRT equalized."""
    folder = tmp_path_factory.mktemp("divergence") / "digits"
    order = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--quiet"]
    assert main([*order, "--output", str(folder)]) == 0
    bundle = Bundle.load(folder)
    graph = read_graph(bundle)
    images = [np.stack([load_image(p, bundle.manifest.image) for p in sample_images("digits")])]
    equalized = equalize(graph, measure_peaks(graph, images))
    ranges = {INT8: measure(equalized, images), UINT8: measure(graph, images)}
    graphs = {
        "fp16": ("float16", halve(graph)),
        "int8.trt": (
            "int8",
            quantize(equalized, choose(ranges[INT8], "minmax", INT8), TENSORRT, head(equalized)),
        ),
        "int8.cpu": (
            "int8",
            quantize(graph, choose(ranges[UINT8], "minmax", UINT8), ONNXRUNTIME, head(graph)),
        ),
    }
    manifest = bundle.manifest
    variants = dict(manifest.variants)
    files = {path: bundle.folder / path for path in manifest.files}
    for name, (precision, each) in graphs.items():
        each.ir_version = graph.ir_version
        files[f"model.{name}.onnx"] = ir.to_proto(each).SerializeToString()
        variants[name] = dataclasses.replace(
            manifest.variants["fp32"],
            file=f"model.{name}.onnx",
            precision=precision,
            golden_tolerances=tuple(100.0 for _ in manifest.golden),
            convolutions=None,
        )
    return publish(
        folder,
        files,
        lambda listed: dataclasses.replace(manifest, variants=variants, files=listed),
    )


@pytest.fixture
def altered(sound, tmp_path):
    """Return a function that publishes the sound bundle with an array of one node changed."""

    def alter(variant, node, change, index=1):
        manifest = sound.manifest
        file = manifest.variants[variant].file
        model = onnx.load_from_string(sound.read(file))
        arrays = {array.name: array for array in model.graph.initializer}
        makers = {output: n for n in model.graph.node for output in n.output}
        found = next(n for n in model.graph.node if n.name == node)
        name = found.input[index]
        if name not in arrays:  # stored as integers, with a DequantizeLinear
            name = makers[name].input[0]
        values = numpy_helper.to_array(arrays[name]).copy()
        change(values)
        arrays[name].CopyFrom(numpy_helper.from_array(values, name))
        files = {path: sound.folder / path for path in manifest.files}
        files[file] = model.SerializeToString()
        return publish(
            tmp_path / "altered",
            files,
            lambda listed: dataclasses.replace(manifest, files=listed),
        )

    return alter
