"""Scoring methods across the halves: loud images are not missed, and refitted heads count."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.calibrate import calibrate
from calibration.fit_errors import FEWEST_IMAGES
from calibration.images import ImageFile, choose_images, read_batches
from calibration.measure import Measurement, measure
from calibration.methods import METHODS
from calibration.order import Order
from calibration.ranges import GRIDS, INT8, UINT8
from calibration.score import Score, float_logits
from calibration.score_methods import Half, MethodScore, best_method, score_methods
from runtime.errors import ImageError
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
        (scored(minmax=30.0, tails=32.9, mse=31.0), "minmax"),
        (scored(minmax=30.0, tails=33.1, mse=35.0), "tails"),
        (scored(minmax=30.0, tails=33.1, mse=36.2), "mse"),
        (scored(minmax=30.0, tails=33.1, entropy=float("inf")), "entropy"),
        (scored(minmax=float("inf"), tails=float("inf")), "minmax"),
        ([], "minmax"),
    ],
)
def test_what_clips_least_is_taken_of_those_that_come_near_the_best(scores, expected):
    assert best_method(scores, INT8) == expected


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_taken_where_it_is_far_better_than_the_others(method):
    scores = dict.fromkeys(METHODS, 20.0) | {method: 30.0}
    assert best_method(scored(**scores), INT8) == method


def test_scores_of_another_grid_do_not_count():
    assert best_method(scored(minmax=30.0, tails=40.0), UINT8) == "minmax"


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
    assert len(found.answers) == 120


def test_a_half_without_images_is_no_half_to_score_with(graph):
    empty = Half(measurement=Measurement.of(["logits"]), files=[], loudness=[], logits=[])
    file = ImageFile(path=Path("a.png"), sha256="")
    other = Half(measurement=Measurement.of(["logits"]), files=[file], loudness=[1.0], logits=[])
    assert score_methods(graph, SPEC, (empty, other), QUIET) == ()


@pytest.mark.parametrize("images", [10, 17])
def test_halves_of_fewer_images_than_are_wanted_are_scored_whole(
    graph, quiet_with_two_loud, tmp_path, images
):
    order = Order(data=quiet_with_two_loud, checkpoint=tmp_path / "part", images=images)
    assert len(calibrate(graph, SPEC, order, QUIET).scores) == len(GRIDS) * len(METHODS)


@pytest.mark.parametrize("broken", [0, 1])
def test_where_every_other_image_is_broken_the_rest_is_measured_and_it_is_said(
    graph, quiet_with_two_loud, tmp_path, capsys, broken
):
    folder = shutil.copytree(quiet_with_two_loud, tmp_path / "copies")
    for path in sorted(folder.iterdir())[broken::2]:
        path.write_bytes(b"no image")
    order = Order(data=folder, checkpoint=tmp_path / "part", images=120)
    found = calibrate(graph, SPEC, order, Screen())
    assert found.survey.read == 60
    assert found.scores == ()
    assert found.convergence.worst == 0
    assert found.ranges.ranges(INT8).method == "minmax"
    assert "no method is scored, and minmax is taken" in capsys.readouterr().err


@pytest.fixture
def halves(graph, quiet_with_two_loud, tmp_path):
    """Return both halves as they are measured, and copies of the files to do harm to."""
    folder = shutil.copytree(quiet_with_two_loud, tmp_path / "copies")
    files, _ = choose_images(folder, 40)
    batches = list(read_batches(files, SPEC, 64))
    logits = float_logits(graph, [batch.images for batch in batches])

    def half(start):
        images = [batch.images[start::2] for batch in batches]
        return Half(
            measurement=measure(graph, images),
            files=files[start::2],
            loudness=np.linalg.norm(logits[start::2], axis=1),
            logits=list(logits[start::2]),
        )

    return half(0), half(1)


def test_answers_that_are_not_known_are_computed_and_scores_stay_the_same(graph, halves):
    unknown = tuple(dataclasses.replace(half, logits=[]) for half in halves)
    known = score_methods(graph, SPEC, halves, QUIET)
    for a, b in zip(known, score_methods(graph, SPEC, unknown, QUIET), strict=True):
        assert a.score.sqnr_db == pytest.approx(b.score.sqnr_db, abs=0.01)


def test_with_images_enough_to_refit_heads_it_counts_what_a_refit_leaves(graph, tmp_path):
    # Not every seed will do: few images, and answers of a net that nobody trained, can be such that
    # a refit gains next to nothing.
    rng = np.random.default_rng(0)
    for index in range(FEWEST_IMAGES + 4):
        smooth = Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).resize((16, 16))
        pixels = np.asarray(smooth) * (rng.integers(12, 256) / 255)
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(tmp_path / f"{index:03}.png")
    scores = []
    for images in (FEWEST_IMAGES - 4, FEWEST_IMAGES + 4):
        order = Order(data=tmp_path, checkpoint=tmp_path / "part", images=images)
        found = calibrate(graph, SPEC, order, QUIET).scores
        scores.append(np.mean([each.score.sqnr_db for each in found]))
    left_alone, refitted = scores
    assert refitted > left_alone + 3


def test_an_image_that_is_gone_since_it_was_measured_is_named(graph, halves):
    loudest = halves[0].files[int(np.argmax(halves[0].loudness))].path
    loudest.unlink()
    with pytest.raises(ImageError, match=rf"{loudest.name}: no such file.*a moment ago"):
        score_methods(graph, SPEC, halves, QUIET)
