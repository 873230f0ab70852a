"""Small real bundles: a net of two convolutions with dynamic batch, height and width."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.image_spec import ImageSpec
from runtime.manifest import GoldenCase, Manifest, ModelInfo, WeightsInfo
from runtime.onnx_files.metadata_props import metadata_props
from runtime.onnx_files.tensor import write_tensor
from runtime.precision import PrecisionPromise
from runtime.publishing.publish import publish
from runtime.variant import TensorInfo, Variant

CLASSES = 10
SPEC = ImageSpec(resize=18, crop=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
MEAN, STD = np.array(SPEC.mean), np.array(SPEC.std)
LABELS = ("cat", "dog", "hen", "owl", "fox", "bee", "ant", "elk", "cow", "猫")

GRAPH = """
<ir_version: 9, opset_import: ["" : 18]>
tiny (float[{batch}, 3, {height}, {width}] images) => (float[{batch}, 10] logits)
<float[4, 3, 3, 3] w1, float[8, 4, 3, 3] w2, float[10, 8] w3>
{{
  a = Conv <pads = [1, 1, 1, 1]> (images, w1)
  b = Relu (a)
  c = Conv <strides = [2, 2]> (b, w2)
  d = GlobalAveragePool (c)
  e = Flatten (d)
  logits = Gemm <transB = 1> (e, w3)
}}
"""


FRONT = """
  floats = Cast <to = 1> (pixels)
  planes = Transpose <perm = {perm}> (floats)
  scaled = Mul (planes, gain)
  images = Add (scaled, offset)
"""


def _text(shape, pixels):
    if not pixels:
        batch, _, height, width = shape
        return GRAPH.format(batch=batch, height=height, width=width)
    text = GRAPH.format(batch="b", height="h", width="w")
    given = f"uint8[{', '.join(shape)}] pixels"
    front = FRONT.format(perm=[0, 1, 2, 3] if pixels == "NCHW" else [0, 3, 1, 2])
    text = text.replace("float[b, 3, h, w] images", given).replace("float[b,", f"float[{shape[0]},")
    text = text.replace("<float[4", "<float[3, 1, 1] gain, float[3, 1, 1] offset, float[4")
    return text.replace("{\n", "{" + front, 1)


def _model(seed, shape, pixels):
    graph = _text(shape, pixels)
    model = onnx.parser.parse_model(graph)
    rng = np.random.default_rng(seed)
    for name, size in {"w1": (4, 3, 3, 3), "w2": (8, 4, 3, 3), "w3": (CLASSES, 8)}.items():
        weights = rng.standard_normal(size, dtype=np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    for name, values in {"gain": 1 / (255 * STD), "offset": -MEAN / STD}.items() if pixels else ():
        planes = values.astype(np.float32)[:, None, None]
        model.graph.initializer.append(numpy_helper.from_array(planes, name))
    return model


def _files(model, batch, pixels):
    rng = np.random.default_rng(7)
    name = "pixels" if pixels else "images"
    if pixels:
        images = rng.integers(0, 256, (batch, *SPEC.shape(pixels)), np.uint8)
    else:
        images = rng.standard_normal((batch, 3, 16, 16), dtype=np.float32)
    # onnx's own evaluator: slow, plain, and independent of the backend under test.
    (logits,) = ReferenceEvaluator(model).run(None, {name: images})
    return {
        "model.onnx": model.SerializeToString(),
        "parity.json": b"{}\n",
        "test_data_set_0/input_0.pb": write_tensor(name, images),
        "test_data_set_0/output_0.pb": write_tensor("logits", logits),
    }


def _manifest(files, image, labels, shape, pixels):
    given = TensorInfo(
        name="pixels" if pixels else "images", dtype="uint8" if pixels else "float", shape=shape
    )
    variant = Variant(
        file="model.onnx",
        precision="float32",
        opset=18,
        input=given,
        output=TensorInfo(name="logits", dtype="float", shape=(shape[0], str(CLASSES))),
        golden_tolerances=(1e-4,),
    )
    return Manifest(
        schema_version=1,
        model=ModelInfo(name="tiny", classes=CLASSES, parameters=476, macs=1),
        weights=WeightsInfo(origin="random", detail="seed 0", sha256="0" * 64),
        image=image,
        labels=labels,
        variants={"fp32": variant},
        golden=(GoldenCase(folder="test_data_set_0", content="random normal"),),
        tools={},
        files=files,
        pixels=pixels,
    )


@pytest.fixture(scope="session")
def publish_tiny():
    """Return a function that publishes a tiny bundle, a detail of it changed on the way."""

    def publish_one(
        destination,
        seed=0,
        image=SPEC,
        labels=LABELS,
        shape=("batch", "3", "height", "width"),
        pixels="",
        change_model=lambda model: None,
        change_files=lambda files: None,
        change_manifest=lambda manifest: manifest,
    ):
        if pixels == "NHWC":
            shape = (shape[0], *shape[2:], shape[1])
        model = _model(seed, shape, pixels)
        onnx.helper.set_model_props(model, metadata_props(image, labels, pixels))
        files = _files(model, int(shape[0]) if shape[0].isdigit() else 2, pixels)
        change_model(model)
        files["model.onnx"] = model.SerializeToString()
        change_files(files)
        return publish(
            destination,
            files,
            lambda listed: change_manifest(_manifest(listed, image, labels, shape, pixels)),
        )

    return publish_one


@pytest.fixture(scope="session")
def tiny_bundle(publish_tiny, tmp_path_factory):
    """Return a sound bundle that every test shares and none changes."""
    return publish_tiny(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session", params=["NCHW", "NHWC"])
def pixel_bundle(publish_tiny, tmp_path_factory, request):
    """Return the same model as `tiny_bundle`'s, normalising pixels itself; none changes it."""
    folder = tmp_path_factory.mktemp("bundles") / f"tiny {request.param}"
    return publish_tiny(folder, pixels=request.param)


def _with_promise(manifest):
    macs = 4 * 3 * 9 * 16 * 16 + 8 * 4 * 9 * 7 * 7
    promise = PrecisionPromise(height=16, width=16, macs={"float32": macs})
    variant = dataclasses.replace(manifest.variants["fp32"], convolutions=promise)
    return dataclasses.replace(manifest, variants={"fp32": variant})


@pytest.fixture(scope="session")
def promising_bundle(publish_tiny, tmp_path_factory):
    """Return a bundle of which engines can be built; tests share it and none changes it."""
    folder = tmp_path_factory.mktemp("bundles") / "promising"
    return publish_tiny(folder, change_manifest=_with_promise)


@pytest.fixture
def promising_folder(promising_bundle, tmp_path):
    """Return the folder of such a bundle that a test may change; its name is not plain."""
    return Path(shutil.copytree(promising_bundle.folder, tmp_path / "my bündel"))


@pytest.fixture
def tiny_folder(tiny_bundle, tmp_path):
    """Return the folder of a sound bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle.folder, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def photographs():
    """Return the real photographs that come with the project."""
    return sorted((Path(__file__).parents[2] / "export/samples/photographs").glob("*.jpg"))
