import math

import numpy as np
import pytest

from export.variants.evaluation import UNKNOWN
from export.variants.tally import Tally, conclude
from export.verdict.gates import FAIL, PASS

LOGITS = np.random.default_rng(0).standard_normal((400, 5))
CLASSES = np.full(400, UNKNOWN)


def tallied(truth, answer, classes=CLASSES):
    tally = Tally()
    for some in np.array_split(np.arange(len(truth)), 7):
        tally.add(truth[some], answer[some], classes[some])
    return tally


def test_signal_to_noise_is_that_of_all_logits_however_they_are_split():
    noise = np.random.default_rng(1).standard_normal(LOGITS.shape) / 100
    expected = 10 * math.log10((LOGITS**2).sum() / (noise**2).sum())
    assert tallied(LOGITS, LOGITS + noise).sqnr_db == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("truth", [LOGITS, 0 * LOGITS])
def test_a_variant_without_any_noise_keeps_its_gate(truth):
    judgement = conclude("float16", tallied(truth, truth), "of 500 images", ranked=True)
    assert judgement.status == PASS
    assert judgement.sqnr_db == 200
    assert judgement.source == "400 of 500 images"


@pytest.mark.parametrize("answer", [np.where(LOGITS > 2, np.nan, LOGITS), LOGITS + 1e150])
def test_nan_and_boundless_noise_fail_with_a_number_that_json_has(answer):
    judgement = conclude("int8", tallied(0 * LOGITS, answer), "", ranked=False)
    assert judgement.status == FAIL
    assert judgement.sqnr_db == -200


def test_images_that_could_not_be_read_are_not_counted():
    judgement = conclude("int8", tallied(LOGITS[:7], LOGITS[:7]), "of 9 images", ranked=False)
    assert judgement.source == "7 of 9 images"
