import numpy as np
import pytest

from runtime.engines.io_tensors import EngineIo
from runtime.engines.profile import Profile
from runtime.errors import EngineError


def profile(smallest, largest, side):
    shapes = [(batch, 3, side, side) for batch in (smallest, largest, largest)]
    return Profile(smallest=shapes[0], tuned=shapes[1], largest=shapes[2])


IO = EngineIo(
    images="images",
    logits="logits",
    dtype=np.dtype(np.float32),
    profiles=(profile(1, 1, 224), profile(2, 32, 224), profile(1, 4, 288)),
)


@pytest.mark.parametrize(
    ("batch", "side", "index"), [(1, 224, 0), (2, 224, 1), (32, 224, 1), (99, 224, 1), (9, 288, 2)]
)
def test_the_profile_that_takes_the_images_in_the_fewest_runs_is_chosen(batch, side, index):
    assert IO.choose((batch, 3, side, side)) == index


@pytest.mark.parametrize("shape", [(1, 3, 256, 256), (1, 1, 224, 224), (0, 3, 224, 224)])
def test_images_that_no_profile_takes_are_refused_with_what_each_takes(shape):
    with pytest.raises(EngineError) as failure:
        IO.choose(shape)
    for text in ("x".join(map(str, shape)), "1x3x224x224 to 1x3x224x224", "4x3x288x288"):
        assert text in str(failure.value)
