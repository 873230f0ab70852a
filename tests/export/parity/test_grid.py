"""The parity grid: what it covers, and what a small budget leaves out, aloud."""

import numpy as np
import pytest

from export.parity.grid import plan_grid, plan_static_grid
from export.samples import sample_images

GENEROUS = 1e6


def test_batches_and_sizes_cover_what_the_grid_promises(resnet18):
    shapes = [
        case.images.shape
        for case in plan_grid(resnet18, sample_images("photographs"), GENEROUS, 1).cases
    ]
    assert {shape[0] for shape in shapes} == {1, 2, 5, 8}
    sides = [side for shape in shapes for side in shape[2:]]
    assert (min(sides), max(sides)) == (32, 512)
    assert any(side % 2 for side in sides)
    assert any(shape[2] != shape[3] for shape in shapes)
    assert (1, 3, 224, 224) in shapes
    assert (2, 3, 224, 224) in shapes


def test_real_images_stand_first(resnet18):
    photographs = sample_images("photographs")
    grid = plan_grid(resnet18, photographs, GENEROUS, 1)
    first = grid.cases[: len(photographs)]
    assert [case.content for case in first] == [f"photograph {p.name}" for p in photographs]
    assert not np.array_equal(first[0].images, first[1].images)


def test_a_small_budget_leaves_cases_out_and_says_which(resnet18):
    full = plan_grid(resnet18, [], GENEROUS, 1_800_000_000)
    small = plan_grid(resnet18, [], 10.0, 1_800_000_000)
    assert not full.left_out
    assert len(small.cases) + len(small.left_out) == len(full.cases)
    assert "1x512x512" in small.left_out


def test_every_batch_size_is_tried_whatever_the_budget(resnet18):
    grid = plan_grid(resnet18, [], 0.0, 1_800_000_000)
    assert {len(case.images) for case in grid.cases} == {1, 2, 5, 8}


def test_a_static_graph_is_tried_at_its_one_shape_with_real_images(digits):
    grid = plan_static_grid(digits, sample_images("digits"), (2, 1, 12, 20))
    assert {case.images.shape for case in grid.cases} == {(2, 1, 12, 20)}
    assert grid.cases[0].content.startswith("photograph")


def test_the_grid_is_the_same_every_time(digits):
    one, other = (plan_grid(digits, [], 1.0, 2_500_000) for _ in range(2))
    assert all(
        np.array_equal(a.images, b.images) for a, b in zip(one.cases, other.cases, strict=True)
    )


@pytest.mark.parametrize(
    ("pixels", "photograph", "random"),
    [("NCHW", (1, 3, 224, 224), (2, 3, 33, 47)), ("NHWC", (1, 224, 224, 3), (2, 33, 47, 3))],
)
def test_a_graph_of_pixels_is_tried_with_every_pixel_value(resnet18, pixels, photograph, random):
    grid = plan_grid(resnet18, sample_images("photographs"), 0.0, 1, pixels)
    assert {case.images.dtype for case in grid.cases} == {np.dtype(np.uint8)}
    assert grid.cases[0].images.shape == photograph
    last = grid.cases[grid.golden - 1]
    assert (last.content, last.images.shape) == ("random pixels", random)
    assert np.unique(last.images).size == 256


def test_a_static_graph_of_pixels_is_tried_at_its_shape_in_their_layout(digits):
    grid = plan_static_grid(digits, sample_images("digits"), (2, 1, 12, 20), "NHWC")
    assert {case.images.shape for case in grid.cases} == {(2, 12, 20, 1)}
    image = grid.cases[0].images
    assert np.array_equal(image[:, 8:12, :8], image[:, :4, 8:16])
