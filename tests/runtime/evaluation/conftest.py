"""Bundles of several variants, and images whose true class is what the tiny model answers."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from runtime.classify import classify
from runtime.open_image import load_image
from runtime.open_runner import open_runner

FILES = {"fp16": "model.fp16.onnx", "int8.cpu": "model.int8.cpu.onnx"}


def change_weights(data, name, change):
    """Return the bytes of a model with one of its weights changed."""
    model = onnx.load_from_string(data)
    weight = next(each for each in model.graph.initializer if each.name == name)
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)), name))
    return model.SerializeToString()


@pytest.fixture(scope="session")
def publish_varied(publish_tiny):
    """Return what publishes a bundle whose further variants differ from fp32 in their weights."""

    def publish(folder, changes, **options):
        def add_files(files):
            for name, change in changes.items():
                files[FILES[name]] = change_weights(files["model.onnx"], "w3", change)

        def add_variants(manifest):
            base = manifest.variants["fp32"]
            more = {name: dataclasses.replace(base, file=FILES[name]) for name in changes}
            return dataclasses.replace(manifest, variants={"fp32": base, **more})

        return publish_tiny(folder, change_files=add_files, change_manifest=add_variants, **options)

    return publish


@pytest.fixture(scope="session")
def varied_bundle(publish_varied, tmp_path_factory):
    """Return a bundle whose fp16 answers as its fp32 does, and whose int8.cpu often does not."""
    rng = np.random.default_rng(3)
    changes = {
        "fp16": lambda weights: weights,
        "int8.cpu": lambda w: w + rng.normal(0, 0.3, w.shape).astype(np.float32),
    }
    return publish_varied(tmp_path_factory.mktemp("varied") / "varied", changes)


def draw(path, seed):
    """Write a small image of noise around a random colour."""
    rng = np.random.default_rng(seed)
    colour, noise = rng.integers(0, 256, 3), rng.normal(0, 60, (20, 24, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def answers_of():
    """Return what tells the most probable class and its share for each image, asked alone."""

    def answer(bundle, paths, variant="fp32"):
        runner = open_runner(bundle, variant)
        images = (load_image(path, bundle.manifest.image) for path in paths)
        return [classify(runner.logits(image[np.newaxis]))[0][0] for image in images]

    return answer


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Return sixty images in one folder."""
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(60):
        draw(folder / f"{number:02}.png", number)
    return sorted(folder.glob("*.png"))
