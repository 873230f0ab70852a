import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from export.training.score import Score, score


class Fixed(nn.Module):
    """Answers with what it is shown: a pixel a class."""

    def forward(self, images):
        return images.flatten(1)


IMAGES = torch.tensor([[9.0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0]])
LABELS = torch.tensor([0, 0, 1, 1, 2])
BATCHES = [
    (IMAGES[:3].reshape(3, 1, 1, 3), LABELS[:3]),
    (IMAGES[3:].reshape(2, 1, 1, 3), LABELS[3:]),
]


def test_right_answers_are_counted_per_class():
    found = score(Fixed(), BATCHES, classes=3)
    assert (found.right, found.images) == ((2, 1, 0), (2, 2, 1))
    assert found.accuracy == pytest.approx(60)
    assert found.mean_recall == pytest.approx((100 + 50 + 0) / 3)
    expected = nn.functional.cross_entropy(IMAGES, LABELS).item()
    assert found.loss == pytest.approx(expected, rel=1e-6)


def test_a_class_without_images_does_not_count_in_the_mean():
    found = score(Fixed(), BATCHES[:1], classes=3)
    assert found.mean_recall == 100


def test_the_module_is_left_in_eval_mode():
    module = Fixed().train()
    score(module, BATCHES, classes=3)
    assert not module.training


@pytest.mark.parametrize(("right", "images"), [(81, 263), (0, 10), (10, 10), (420, 525)])
def test_the_interval_is_wilsons(right, images):
    found = Score(right=(right, 0), images=(images, 0), loss=0.0).interval
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert found == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)
