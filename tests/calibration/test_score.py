"""Scoring logits."""

import math

import numpy as np
import pytest

from calibration.score import score_logits


def test_sqnr_is_ten_decibel_a_power_of_ten():
    reference = np.array([[3.0, 4.0], [0.0, 5.0]])
    off = reference + np.array([[0.0, 0.0], [0.5, 0.5]])
    assert score_logits(reference, off).sqnr_db == pytest.approx(20)
    assert score_logits(reference, reference).sqnr_db == math.inf


def test_agreement_is_the_share_of_equal_best_classes():
    reference = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    swapped = np.array([[0.0, 1.0], [0.9, 0.0], [1.0, 0.0], [1.0, 0.5]])
    assert score_logits(reference, swapped).top1_agreement == 0.75


def test_an_image_of_weight_three_counts_as_three():
    reference = np.array([[3.0, 4.0], [1.0, 0.0]])
    quantized = np.array([[3.1, 4.0], [0.0, 0.5]])
    weighted = score_logits(reference, quantized, np.array([1.0, 3.0]))
    rows = [0, 1, 1, 1]
    repeated = score_logits(reference[rows], quantized[rows])
    assert weighted.sqnr_db == pytest.approx(repeated.sqnr_db)
    assert weighted.top1_agreement == repeated.top1_agreement == 0.25
