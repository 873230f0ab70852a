"""float16 fails where it cannot hold what the graph computes of the images it is judged by."""

import numpy as np
import onnx_ir as ir
import pytest

from export.variants.judge_range import judge_range
from runtime.judgement import Judgement
from runtime.share import Share

IMAGES = np.full((2, 1, 4, 4), 2.0, np.float32)


@pytest.fixture
def passed():
    share = Share(count=2, of=2, low=0.3, high=1.0)
    return Judgement(
        source="", sqnr_db=70.0, agreement=share, top1=None, status="pass", remarks=("a remark",)
    )


@pytest.fixture
def graph():
    """Multiplies by 40,000, and divides by as much."""
    return ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[batch, 1, height, width] images) => (float[batch, 1, height, width] result)
        <float factor = {40000}, float[batch, 1, height, width] large> {
            [up] large = Mul (images, factor)
            [down] result = Div (large, factor)
        }
    """)


def test_a_value_beyond_float16_fails_and_names_the_node(passed, graph):
    judged = judge_range(passed, graph, [IMAGES / 8, IMAGES], kept=())
    assert judged.status == "fail"
    assert judged.remarks == (
        "'up': activations reach 8e+04 on these images; float16 ends at 65504, 1 more nodes, too",
        "a remark",
    )


def test_a_value_that_float16_just_holds_passes(passed, graph):
    assert judge_range(passed, graph, [IMAGES * np.float32(0.8)], kept=()) is passed


def test_a_node_that_is_float32_may_compute_what_it_likes(passed, graph):
    assert judge_range(passed, graph, [IMAGES], kept=("up", "down")) is passed
