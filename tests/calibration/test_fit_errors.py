"""Fitting errors to features: what predicts images that were left out, and nothing else."""

import numpy as np
import pytest

from calibration.fit_errors import fit_errors

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((200, 20))
CHANGE = RNG.standard_normal((3, 20))
NOISE = RNG.standard_normal((200, 3))


def test_errors_that_go_with_the_features_are_predicted():
    fit = fit_errors(FEATURES @ CHANGE.T + 2, FEATURES)
    np.testing.assert_allclose(fit.change, CHANGE, atol=1e-5)
    np.testing.assert_allclose(fit.shift, 2, atol=1e-5)
    np.testing.assert_allclose(fit.left_out, 0, atol=1e-5)


def test_what_no_feature_tells_stays_as_it_is():
    known = np.column_stack([FEATURES, np.ones(len(FEATURES))])
    untold = NOISE - known @ np.linalg.lstsq(known, NOISE, rcond=None)[0]
    fit = fit_errors(untold, FEATURES)
    assert not fit.change.any()
    assert not fit.shift.any()
    assert np.array_equal(fit.left_out, untold)


def test_what_is_left_out_is_as_large_as_on_images_that_no_fit_has_seen():
    errors = FEATURES @ CHANGE.T + 0.5 * NOISE
    fit = fit_errors(errors, FEATURES)
    unseen = RNG.standard_normal((4000, 20))
    fresh = unseen @ (CHANGE - fit.change).T - fit.shift + 0.5 * RNG.standard_normal((4000, 3))
    seen = errors - FEATURES @ fit.change.T - fit.shift
    left_out = np.square(fit.left_out).mean()
    assert left_out == pytest.approx(np.square(fresh).mean(), rel=0.5)
    assert np.square(seen).mean() < 0.9 * left_out
