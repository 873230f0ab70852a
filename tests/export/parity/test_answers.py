"""Answers: computed beside other work, the same as those computed in its place."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

from export.parity.answers import Answers
from export.parity.grid import plan_grid
from export.parity.truths import Case
from export.reference import TorchRunner
from runtime.errors import TraceError


@pytest.fixture(scope="module")
def cases(digits):
    return plan_grid(digits, [], 0.0, 2_500_000).cases[:3]


def test_answers_are_the_modules_own_in_float64(digits, cases):
    done = []
    with Answers(digits, cases) as answers:
        truths = answers.wait(lambda: done.append(1))
    assert len(done) == len(cases)
    reference = TorchRunner(digits.module, torch.float64)
    for case, truth in zip(cases, truths, strict=True):
        assert truth.case is case
        np.testing.assert_allclose(truth.logits, reference.logits(case.images), rtol=1e-12)
        assert 0 < truth.noise < 1e-4


def test_leaving_early_leaves_no_process(digits, cases):
    with Answers(digits, cases):
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()


def test_a_case_the_module_cannot_run_is_one_line(digits):
    case = Case(content="three channels", images=np.zeros((1, 3, 8, 8), np.float32))
    with Answers(digits, [case]) as answers, pytest.raises(TraceError, match="1x3x8x8") as error:
        answers.wait(lambda: None)
    assert "\n" not in str(error.value)


class KillsItself(nn.Module):
    """What the system does to a process that takes too much memory."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return images


def test_a_reference_that_was_killed_is_one_line(digits, cases):
    import dataclasses

    doomed = dataclasses.replace(digits, module=KillsItself())
    with Answers(doomed, cases) as answers, pytest.raises(TraceError, match="out of memory"):
        answers.wait(lambda: None)
