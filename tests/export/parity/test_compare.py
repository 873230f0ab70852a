"""Parity: the tolerance is measured, and a small fault is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from export.parity.compare import Tolerance, compare
from export.parity.report import ParityReport
from export.parity.truths import Case, Truth, answer
from runtime.runner import Images, Logits

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 3, 4, 4), dtype=np.float32)
EXPECTED = RNG.standard_normal((3, 5))
TOLERANCE = Tolerance(noise_multiple=2.0)


@dataclass
class FixedRunner:
    """A runner whose answer is known in advance."""

    name: str
    answer: Logits

    def logits(self, images: Images) -> Logits:
        return self.answer[: len(images)]


def ignore() -> None:
    """Nobody watches the progress."""


def truths(noise: float, cases: int = 1) -> tuple[Truth, ...]:
    case = Case(content="random", images=IMAGES)
    baseline = EXPECTED + noise * np.sign(EXPECTED)
    return answer(
        [case] * cases, FixedRunner("float64", EXPECTED), FixedRunner("float32", baseline)
    )


def report(candidate: Logits, noise: float = 1e-6) -> ParityReport:
    cases = compare(truths(noise), FixedRunner("candidate", candidate), TOLERANCE, ignore)
    return ParityReport(
        reference="float64",
        baseline="float32",
        candidate="candidate",
        noise_multiple=TOLERANCE.noise_multiple,
        cases=cases,
    )


def test_an_error_within_the_multiple_of_the_noise_passes():
    result = report(EXPECTED + 1.9e-6)
    assert result.passed
    assert result.worst.ratio == pytest.approx(1.9, rel=1e-3)


def test_an_error_beyond_the_multiple_of_the_noise_fails():
    assert not report(EXPECTED + 2.1e-6).passed


def test_the_tolerance_grows_with_the_noise_of_the_model():
    assert not report(EXPECTED + 1e-4, noise=1e-6).passed
    assert report(EXPECTED + 1e-4, noise=1e-4).passed


def test_one_wrong_logit_among_right_ones_fails_and_its_image_is_named():
    off = EXPECTED.copy()
    off[1, 3] += 1e-5
    result = report(off)
    assert not result.passed
    assert result.worst.worst_image == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_fails(bad: float):
    off = EXPECTED.copy()
    off[2, 0] = bad
    result = report(off)
    assert not result.passed
    assert not result.worst.finite
    assert result.worst.error is None


def test_an_answer_of_another_shape_fails():
    result = report(EXPECTED[:, :4])
    assert not result.passed
    assert result.worst.ratio is None


def test_a_report_without_cases_proves_nothing():
    empty = ParityReport(reference="a", baseline="b", candidate="c", noise_multiple=2.0, cases=())
    assert not empty.passed


def test_a_case_in_which_float32_rounded_well_by_luck_takes_the_noise_of_the_others():
    case = Case(content="random", images=IMAGES)
    lucky = Case(content="lucky", images=IMAGES[:1])

    @dataclass
    class Baseline:
        name: str = "float32"

        def logits(self, images: Images) -> Logits:
            noise = 1e-12 if len(images) == 1 else 1e-6
            return EXPECTED[: len(images)] + noise

    cases = answer([case, case, lucky], FixedRunner("float64", EXPECTED), Baseline())
    assert cases[2].noise > 1e-7


def test_a_model_without_any_noise_is_allowed_two_machine_epsilons():
    scale = float(np.abs(EXPECTED).max())
    (truth,) = truths(noise=0.0)
    assert truth.noise == pytest.approx(2**-22 * scale)


def test_equal_logits_have_a_cosine_of_one_and_a_finite_sqnr():
    worst = report(EXPECTED).worst
    assert worst.cosine == pytest.approx(1.0, abs=1e-12)
    assert np.isfinite(worst.sqnr_db)
    assert worst.top1_agreement == 1.0


def test_sqnr_is_in_decibel_of_power():
    assert report(EXPECTED * 1.001).worst.sqnr_db == pytest.approx(60.0, abs=1e-6)


def test_top1_agreement_is_the_share_of_images_with_the_same_best_class():
    off = EXPECTED.copy()
    off[0, (EXPECTED[0].argmax() + 1) % 5] = 100.0
    assert report(off).worst.top1_agreement == pytest.approx(2 / 3)
