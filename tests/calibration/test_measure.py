import subprocess
import sys

import numpy as np
import pytest

from calibration.choose import choose
from calibration.measure import Measurement, measure
from calibration.ranges import INT8
from runtime.errors import CheckpointError, OptionError

IMAGES = np.random.default_rng(0).standard_normal((12, 1, 16, 16), dtype=np.float32)


def same(one: Measurement, other: Measurement) -> bool:
    return one.images == other.images and all(
        np.array_equal(seen.counts, other.histograms[name].counts)
        and (seen.lowest, seen.highest)
        == (other.histograms[name].lowest, other.histograms[name].highest)
        for name, seen in one.histograms.items()
    )


def test_every_value_of_every_tensor_is_counted_once(graph):
    measurement = measure(graph, [IMAGES[:5], IMAGES[5:]])
    assert measurement.images == 12
    sizes = {name: int(seen.counts.sum()) for name, seen in measurement.histograms.items()}
    assert sizes["images"] == IMAGES.size
    assert sizes["stem_relu"] == 12 * 8 * 16 * 16
    assert sizes["pool"] == sizes["conv2"] == 12 * 8 * 8 * 8
    assert sizes["logits"] == 12 * 4


def test_the_split_into_batches_changes_no_range(graph):
    """Not bit for bit: ONNX Runtime may sum in another order for another batch."""
    splits = ([IMAGES], np.split(IMAGES, 4), [IMAGES[7:], IMAGES[:1], IMAGES[1:7]])
    first, *others = (choose(measure(graph, split), "minmax", INT8) for split in splits)
    for other in others:
        for name, expected in first.tensors.items():
            assert other[name].high == pytest.approx(expected.high, rel=1e-5)
            assert other[name].low == pytest.approx(expected.low, rel=1e-5)


def test_order_and_mix_of_image_sizes_change_nothing(graph):
    wide = np.random.default_rng(1).standard_normal((3, 1, 9, 31), dtype=np.float32)
    batches = [IMAGES[:4], wide[:1], IMAGES[4:], wide[1:]]
    assert same(measure(graph, batches), measure(graph, batches[::-1]))


def test_two_measurements_merge_into_one_of_all_images(graph):
    first, second = measure(graph, [IMAGES[:4]]), measure(graph, [IMAGES[4:8], IMAGES[8:]])
    first.merge(second)
    assert same(first, measure(graph, np.split(IMAGES, 3)))


def test_a_weight_that_is_nan_is_named_even_if_a_relu_hides_it(make_graph):
    bias = np.zeros(8)
    bias[3] = np.nan
    with pytest.raises(CheckpointError, match=r"the weight 'stem_bias' holds NaN or infinity"):
        measure(make_graph(stem_bias=bias), [IMAGES])


def test_the_first_activation_that_overflows_is_named(make_graph):
    huge = make_graph(conv1_weight=np.full((8, 8, 3, 3), 3e38))
    with pytest.raises(CheckpointError, match=r"the activation 'conv1_relu' holds infinity"):
        measure(huge, [IMAGES])


def test_an_unknown_method_is_refused_with_those_there_are(graph):
    with pytest.raises(OptionError, match=r"given 'max'; expected one of minmax, percentile"):
        choose(measure(graph, [IMAGES]), "max", INT8)


def test_no_image_gives_no_ranges(graph):
    with pytest.raises(OptionError, match="no image was measured"):
        choose(measure(graph, []), "minmax", INT8)


MEMORY = """
import sys
import numpy as np, onnx_ir as ir
from calibration.measure import measure
from runtime.benchmark.timing import peak_mib
graph, images = ir.load(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
measure(graph, (rng.standard_normal((1, 1, 160, 160), dtype=np.float32) for _ in range(images)))
print(peak_mib())
"""


def test_memory_does_not_grow_with_the_number_of_images(make_graph, tmp_path):
    """An image's activations take 1.7 MB: kept, they would double the peak of 16 images at 128."""
    import onnx_ir

    onnx_ir.save(make_graph(), tmp_path / "model.onnx")

    def peak(images: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "model.onnx"), str(images)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak(128) < 1.05 * peak(16)
