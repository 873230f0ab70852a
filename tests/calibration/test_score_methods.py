"""Scoring methods across the halves: loud images are not missed, and near ties go to `tails`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.calibrate import calibrate
from calibration.images import ImageFile
from calibration.measure import Measurement
from calibration.order import Order
from calibration.ranges import INT8, UINT8
from calibration.score import Score
from calibration.score_methods import Half, MethodScore, best_method, score_methods
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

# Black is 0: how bright an image is, is how loud.
SPEC = ImageSpec(resize=16, crop=16, mean=(0.0,), std=(0.01,), channels="L")
QUIET = Screen(quiet=True)


def scored(**sqnr_db):
    scores = ((name, Score(sqnr_db=value, top1_agreement=1.0)) for name, value in sqnr_db.items())
    return [MethodScore(grid="int8", method=name, score=score) for name, score in scores]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (scored(minmax=30.9, tails=30.0), "tails"),
        (scored(minmax=31.1, tails=30.0), "minmax"),
        (scored(minmax=20.0, tails=30.0), "tails"),
        (scored(minmax=float("inf"), tails=float("inf")), "tails"),
        ([], "tails"),
    ],
)
def test_tails_is_taken_unless_another_method_is_clearly_better(scores, expected):
    assert best_method(scores, INT8) == expected


def test_scores_of_another_grid_do_not_count():
    assert best_method(scored(minmax=40.0, tails=30.0), UINT8) == "tails"


@pytest.fixture(scope="module")
def quiet_with_two_loud(tmp_path_factory):
    """120 dim pictures; two bright ones are where a sample of every eighth does not fall."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(120):
        brightness = 255 if index in (61, 62) else 12
        smooth = Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).resize((16, 16))
        pixels = np.rint(np.asarray(smooth) * (brightness / 255)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")
    return folder


def test_a_method_that_clips_the_few_loud_images_is_found_out(graph, quiet_with_two_loud, tmp_path):
    order = Order(data=quiet_with_two_loud, checkpoint=tmp_path / "part", images=120)
    found = calibrate(graph, SPEC, order, QUIET)
    scores = {each.method: each.score.sqnr_db for each in found.scores if each.grid == "int8"}
    assert scores["entropy"] < scores["tails"] - 6
    assert found.ranges.ranges(INT8).method != "entropy"


def test_a_half_without_images_is_no_half_to_score_with(graph):
    empty = Half(measurement=Measurement.of(["logits"]), files=[], loudness=[])
    file = ImageFile(path=Path("a.png"), sha256="")
    other = Half(measurement=Measurement.of(["logits"]), files=[file], loudness=[1.0])
    assert score_methods(graph, SPEC, (empty, other), QUIET) == ()
