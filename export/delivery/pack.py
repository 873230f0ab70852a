"""Packs checked graphs into a bundle: with their golden vectors, their parity, their manifest."""

from __future__ import annotations

import dataclasses
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime

from calibration.ranges_file import RANGES_FILE
from export.classifier import Classifier
from export.delivery.describe_variant import describe_variant
from export.parity.check import Check
from export.parity.report import PARITY_FILE
from export.parity.truths import Truth
from export.variants.made import MadeVariant
from export.variants.make_variants import Variants
from export.variants.parity import VariantParity, compare_variant, golden_tolerances
from runtime.bundle import Bundle
from runtime.manifest import SCHEMA_VERSION, FileInfo, GoldenCase, Manifest, ModelInfo
from runtime.onnx_files.metadata_props import PIXELS_PROP, metadata_props
from runtime.onnx_files.tensor import write_tensor
from runtime.onnx_runner import OnnxRunner
from runtime.publishing.publish import publish
from runtime.runner import Logits
from runtime.schema import to_json
from runtime.variant import Variant

__all__ = ["Content", "pack", "stamp"]

MODEL_FILE = "model.onnx"

GOLDEN_NOISE_MULTIPLE = 10.0
"""How many times the float32 noise a device's logits may be off the golden ones. Wider than the
parity gate, because a device sums in another order with other instructions; a wrong pixel, weight
or layer is off by thousands."""


def stamp(graph: ir.Model, classifier: Classifier, pixels: str = "") -> bytes:
    """Return the graph as an ONNX file that knows its preprocessing and labels.

    Args:
        graph: the graph.
        classifier: where the model came from.
        pixels: the layout of the pixels the graph takes; "" if it takes normalised images.
    """
    graph.metadata_props.update(metadata_props(classifier.image, classifier.labels, pixels))
    graph.producer_name = "resnet-deploy"
    graph.producer_version = version("resnet-deploy")
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What a bundle is made of."""

    classifier: Classifier
    """Where the model came from."""
    model: ModelInfo
    """What the manifest says of it."""
    graph: ir.Model
    """The float32 graph, stamped."""
    data: bytes
    """The same as the ONNX file."""
    verdict: Check
    """Of the check of it, which passed."""
    variants: Variants
    """Those of lower precision, which passed."""


def pack(output: Path, content: Content) -> Bundle:
    """Publish a bundle and return it.

    Args:
        output: the bundle's folder.
        content: what goes into it.

    Raises:
        VerdictError: if a variant gives what is no answer on a golden input.
        BundleError: if the folder cannot be written; it is then what it was.
    """
    classifier, golden = content.classifier, content.verdict.golden
    pixels = content.graph.metadata_props.get(PIXELS_PROP, "")
    files: dict[str, bytes | Path] = {
        MODEL_FILE: content.data,
        PARITY_FILE: to_json(content.verdict.report),
        **_golden_files(content),
    }
    tolerances = tuple(GOLDEN_NOISE_MULTIPLE * truth.noise for truth in golden)
    fp32 = describe_variant(content.graph, classifier.image.crop, pixels, tolerances)
    variants = {"fp32": dataclasses.replace(fp32, file=MODEL_FILE)}
    for made in content.variants.made:
        variants[made.name], parity = _describe_made(made, content, pixels)
        files |= {made.file: made.data, f"parity.{made.name}.json": to_json(parity)}
    if content.variants.ranges is not None:
        files[RANGES_FILE] = to_json(content.variants.ranges)

    def describe(listed: dict[str, FileInfo]) -> Manifest:
        return Manifest(
            schema_version=SCHEMA_VERSION,
            model=content.model,
            weights=classifier.weights,
            image=classifier.image,
            labels=classifier.labels,
            variants=variants,
            golden=tuple(
                GoldenCase(folder=_folder(index), content=truth.case.content)
                for index, truth in enumerate(golden)
            ),
            tools=_tools(),
            files=listed,
            pixels=pixels,
        )

    return publish(output, files, describe)


def _describe_made(
    made: MadeVariant, content: Content, pixels: str
) -> tuple[Variant, VariantParity]:
    """Return what the manifest says of a variant of lower precision, and its parity."""
    judgement = content.variants.judgements[made.name]
    parity = compare_variant(made, content.verdict.truths, judgement)
    golden = parity.cases[: len(content.verdict.golden)]
    tolerances = golden_tolerances(golden, made.precision)
    described = describe_variant(made.graph, content.classifier.image.crop, pixels, tolerances)
    variant = dataclasses.replace(
        described,
        file=made.file,
        precision=made.precision,
        kept_float=made.kept_float,
        kept_float_slowdown=made.kept_float_slowdown,
        placement=made.placement,
        judgement=judgement,
    )
    return variant, parity


def _golden_files(content: Content) -> dict[str, bytes]:
    graph, files = content.graph.graph, {}
    for index, truth in enumerate(content.verdict.golden):
        files[f"{_folder(index)}/input_0.pb"] = write_tensor(
            _name(graph.inputs[0]), truth.case.images
        )
        for number, values in enumerate(_outputs(truth, content.graph, content.data)):
            files[f"{_folder(index)}/output_{number}.pb"] = write_tensor(
                _name(graph.outputs[number]), values.astype(np.float32)
            )
    return files


def _outputs(truth: Truth, graph: ir.Model, data: bytes) -> list[Logits]:
    """Return the right answer by output: the rows of a head of several are parted again."""
    if len(graph.graph.outputs) == 1:
        return [truth.logits]
    shapes = [part.shape for part in OnnxRunner.open(data).outputs(truth.case.images)]
    ends = np.cumsum([np.prod(shape[1:], dtype=int) for shape in shapes])
    parts = np.split(truth.logits, ends[:-1], axis=1)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _name(value: ir.Value) -> str:
    assert value.name is not None
    return value.name


def _folder(index: int) -> str:
    return f"test_data_set_{index}"


def _tools() -> dict[str, str]:
    libraries = ("torch", "onnx", "onnx-ir", "onnxscript", "onnxsim", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "resnet-deploy": version("resnet-deploy"),
        # Two distributions carry the module; it knows its own version.
        "onnxruntime": onnxruntime.__version__,
        **{name: version(name) for name in libraries},
    }
