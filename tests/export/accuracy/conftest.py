"""Labelled images and bundles that see them wrongly."""

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
from PIL import Image

from export.cli import main
from runtime.bundle import Bundle
from runtime.image_spec import ImageSpec
from runtime.manifest import Manifest, ModelInfo, WeightsInfo
from runtime.publishing.publish import publish
from runtime.variant import TensorInfo, Variant

COLOURS = ("blue", "green", "red")


@pytest.fixture(scope="session")
def digits_bundle(tmp_path_factory):
    """The digits classifier, exported."""
    folder = tmp_path_factory.mktemp("accuracy") / "digits"
    order = ["resnet20-digits", "--onnx", "--parity-budget", "0", "--quiet"]
    assert main([*order, "--output", str(folder)]) == 0
    return Bundle.load(folder)


@pytest.fixture(scope="session")
def scans(write_scans, tmp_path_factory):
    """A folder for each digit, with 150 scans that were never trained on."""
    # The seed is that of the split in scripts/train_digits.py: by another, some were trained on.
    held_out = np.random.default_rng(0).permutation(1797)[:150]
    return write_scans(tmp_path_factory.mktemp("scans"), held_out)


@pytest.fixture
def misled(tmp_path):
    """Return a function that publishes a bundle with another manifest, its model untouched."""

    def publish_it(bundle, **changes):
        files = {path: bundle.folder / path for path in bundle.manifest.files}
        return publish(
            tmp_path / "misled",
            files,
            lambda listed: dataclasses.replace(bundle.manifest, files=listed, **changes),
        )

    return publish_it


@pytest.fixture(scope="session")
def swatches(tmp_path_factory):
    """A folder for each colour, with thirty noisy images of it."""
    folder = tmp_path_factory.mktemp("swatches")
    rng = np.random.default_rng(0)
    for place, colour in enumerate(("red", "green", "blue")):
        (folder / colour).mkdir()
        for number in range(30):
            pixels = rng.integers(0, 200, (16, 16, 3))
            pixels[..., place] += 40
            Image.fromarray(pixels.astype(np.uint8)).save(folder / colour / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def colour_bundle(tmp_path_factory):
    """A model that answers "green" where green is strongest; red and blue must differ by more."""
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[batch, 3, height, width] images) => (float[batch, 3] logits) {
            pooled = GlobalAveragePool (images)
            flat = Flatten (pooled)
            weight = Constant <value = float[3, 3] {0, 0, 1, 0, 1, 0, 1, 0, 0}> ()
            logits = MatMul (flat, weight)
        }
    """)
    tensors = (
        TensorInfo(name="images", dtype="float", shape=("batch", "3", "height", "width")),
        TensorInfo(name="logits", dtype="float", shape=("batch", "3")),
    )
    variant = Variant(
        file="model.onnx",
        precision="float32",
        opset=18,
        input=tensors[0],
        output=tensors[1],
        golden_tolerances=(),
    )
    return publish(
        tmp_path_factory.mktemp("colours") / "colours",
        {"model.onnx": ir.to_proto(graph).SerializeToString()},
        lambda files: Manifest(
            schema_version=1,
            model=ModelInfo(name="colours", classes=3, parameters=9, macs=9),
            weights=WeightsInfo(origin="file", detail="none", sha256="0" * 64),
            image=ImageSpec(resize=16, crop=16, mean=(0.5,) * 3, std=(0.5,) * 3),
            labels=COLOURS,
            variants={"fp32": variant},
            golden=(),
            tools={},
            files=files,
        ),
    )
