"""A variant is judged as its bundle will run it."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from export.variants.made import MadeVariant
from export.variants.variant_runner import VariantRunner
from runtime.bundle import Bundle
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import open_runner

IMAGES = np.random.default_rng(0).standard_normal((3, 1, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("name", ["fp16", "int8.trt", "int8.cpu"])
def test_a_variant_is_judged_as_its_bundle_runs_it(published, name):
    bundle = Bundle.load(published)
    variant = bundle.variant(name)
    data = bundle.read(variant.file)
    made = MadeVariant(
        name=name,
        precision=variant.precision,
        graph=ir.from_proto(onnx.load_from_string(data)),
        data=data,
        placement=variant.placement,
    )
    logits = VariantRunner(made).logits(IMAGES)
    assert np.array_equal(logits, open_runner(bundle, name).logits(IMAGES))
    fused = OnnxRunner.open(data).logits(IMAGES)
    assert np.array_equal(logits, fused) == (name != "int8.trt")
