"""The reference: the module's own arithmetic, in the type that was asked for."""

import numpy as np
import pytest
import torch
from torch import nn

from export.reference import TorchRunner
from runtime.errors import TraceError

IMAGES = np.random.default_rng(0).standard_normal((2, 1, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_are_the_modules_own(digits, dtype):
    runner = TorchRunner(digits.module, dtype)
    with torch.inference_mode():
        expected = digits.module(torch.from_numpy(IMAGES))
    logits = runner.logits(IMAGES)
    assert logits.dtype == str(dtype).removeprefix("torch.")
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_float64_rounds_a_billion_times_finer_than_float32(digits):
    single = TorchRunner(digits.module, torch.float32).logits(IMAGES)
    double = TorchRunner(digits.module, torch.float64).logits(IMAGES)
    assert 0 < np.abs(single - double).max() < 1e-4


def test_the_module_keeps_its_type(digits):
    TorchRunner(digits.module, torch.float64)
    assert {p.dtype for p in digits.module.parameters()} == {torch.float32}


def test_a_module_that_fixes_its_input_size_is_one_line_that_says_what_to_do():
    runner = TorchRunner(nn.Sequential(nn.Flatten(), nn.Linear(9, 10)), torch.float32)
    with pytest.raises(TraceError, match=r"images 2x1x8x8: .*--static") as error:
        runner.logits(IMAGES)
    assert "\n" not in str(error.value)
