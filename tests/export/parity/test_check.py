"""The check: a faultless graph passes, and a fault as small as 0.1 % of one bias does not."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.delivery.pack import stamp
from export.fold import fold
from export.parity.answers import Answers
from export.parity.check import check
from export.parity.grid import plan_grid
from export.recipes import float32
from export.samples import sample_images
from runtime.terminal import Screen

SILENT = Screen(quiet=True)


@pytest.fixture(scope="module")
def digits_model(digits):
    return stamp(float32(fold(digits), 18, SILENT).graph, digits)


@pytest.fixture(scope="module")
def digits_grid(digits):
    return plan_grid(digits, sample_images("digits"), budget_gmacs=0.0, macs=2_500_000)


@pytest.fixture(scope="module")
def judge(digits, digits_grid):
    """Check a model file against the digits classifier."""
    with Answers(digits, digits_grid.cases) as answers:
        truths = answers.wait(lambda: None)

    @dataclass
    class Given:
        """Answers that were computed once, for all tests."""

        def wait(self, advance):
            return truths

    return lambda model: check(Given(), fold(digits), model, digits_grid, SILENT)


def altered(model: bytes, name: str, change) -> bytes:
    proto = onnx.load_from_string(model)
    (initializer,) = (i for i in proto.graph.initializer if i.name == name)
    values = numpy_helper.to_array(initializer).copy()
    change(values)
    initializer.CopyFrom(numpy_helper.from_array(values, name))
    return proto.SerializeToString()


def off_by_a_thousandth(values: np.ndarray) -> None:
    """Change the channel of median magnitude: neither the easiest to find nor the hardest."""
    values[np.argsort(np.abs(values))[len(values) // 2]] *= 1.001


def test_a_faultless_graph_passes_with_margin(judge, digits_model):
    verdict = judge(digits_model)
    assert verdict.report.passed
    assert verdict.report.worst.ratio < 4


@pytest.mark.parametrize(
    "bias", ["conv1", "layer1.0.conv1", "layer1.2.conv2", "layer2.0.conv2", "layer3.2.conv2", "fc"]
)
def test_one_bias_off_by_a_thousandth_fails(judge, digits_model, bias):
    model = altered(digits_model, f"{bias}.bias", off_by_a_thousandth)
    assert not judge(model).report.passed


def test_a_weight_that_is_not_a_number_fails(judge, digits_model):
    def poison(values):
        values.flat[0] = np.nan

    model = altered(digits_model, "conv1.weight", poison)
    report = judge(model).report
    assert not report.passed
    assert not report.worst.finite


def test_golden_answers_are_of_real_images_and_of_an_odd_size(judge, digits_model):
    verdict = judge(digits_model)
    assert verdict.golden[0].case.content.startswith("photograph")
    assert verdict.golden[0].case.images.shape == (1, 1, 8, 8)
    assert verdict.golden[-1].case.images.shape == (2, 1, 33, 47)
