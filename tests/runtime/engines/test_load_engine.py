import dataclasses

import onnx
import pytest

from runtime.building.build import build
from runtime.cuda.gpu import find_gpu
from runtime.engines.engine import describe_engine
from runtime.engines.load_engine import load_engine
from runtime.engines.options import EngineOptions
from runtime.engines.tensorrt_module import load_tensorrt
from runtime.errors import EngineError

MEAN = """
<ir_version: 10, opset_import: ["" : 18]>
mean (float[2, 3, 8, 8] images) => (float[2, 3] logits) {
    pooled = GlobalAveragePool(images)
    logits = Flatten(pooled)
}
"""


@pytest.fixture(scope="module")
def library():
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
    return load_tensorrt("tensorrt_rtx")


@pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
def test_an_engine_that_tensorrt_cannot_load_is_our_error_with_its_reason(library):
    model = onnx.parser.parse_model(MEAN).SerializeToString()
    options = EngineOptions(flavour="tensorrt_rtx")
    plan = build(model, options)
    info = describe_engine(plan, model, options, library.version, {}, 1.0)
    with pytest.raises(EngineError, match=r"cannot load this engine: .*CUDA driver"):
        load_engine(library, plan, info)


def test_an_engine_of_garbage_is_our_error(library):
    options = EngineOptions(flavour="tensorrt_rtx")
    plan = build(onnx.parser.parse_model(MEAN).SerializeToString(), options)
    info = describe_engine(plan, b"", options, library.version, {}, 1.0)
    garbage = plan[:100] + bytes(len(plan) - 100)
    with pytest.raises(EngineError, match="cannot load this engine"):
        load_engine(library, garbage, dataclasses.replace(info))
