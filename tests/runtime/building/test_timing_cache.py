"""Timings are kept by a builder's configuration that lives in Python: a real one needs a GPU."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.building.timing_cache import add_timings, timing_cache_file, use_timings
from runtime.cuda.gpu import Gpu
from runtime.engines.tensorrt_module import TensorRt

ORIN = Gpu(name="Orin (nvgpu)", sm="sm87", memory_mib=7620, cuda="12.6")
LIBRARY = TensorRt("tensorrt", "10.3.0", None, None, [])


class Cache:
    """Timings of kernels, one a word."""

    def __init__(self, data):
        self.kernels = set(data.split())

    def combine(self, other, ignore_mismatch):
        assert not ignore_mismatch
        self.kernels |= other.kernels
        return True

    def serialize(self):
        return b" ".join(sorted(self.kernels))


class Config:
    cache = None

    def create_timing_cache(self, data):
        return None if data == b"\0" else Cache(data)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        if b"of-another-version" in cache.kernels:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


def build(path, *kernels):
    """Measure these kernels, as a build would; return what it did not have to measure."""
    config = Config()
    use_timings(path, config)
    known = set(config.cache.kernels)
    config.cache.kernels |= set(kernels)
    add_timings(path, config)
    return known


def test_a_second_build_knows_what_the_first_measured(tmp_path):
    path = tmp_path / "new folder" / "timing.cache"
    assert build(path, b"conv1", b"conv2") == set()
    assert build(path, b"conv3") == {b"conv1", b"conv2"}
    assert build(path) == {b"conv1", b"conv2", b"conv3"}


@pytest.mark.parametrize("content", [b"of-another-version conv1", b"\0"])
def test_timings_that_do_not_fit_are_begun_anew_and_said_so(content, tmp_path, caplog):
    path = tmp_path / "timing.cache"
    path.write_bytes(content)
    assert build(path, b"conv9") == set()
    assert "does not fit this TensorRT; it is begun anew" in caplog.text


def test_what_others_added_meanwhile_is_kept(tmp_path):
    path = tmp_path / "timing.cache"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: build(path, b"conv%d" % n), range(40)))
    assert len(build(path)) == 40
    assert [each.name for each in tmp_path.iterdir()] == ["timing.cache"]


def test_timings_of_another_version_or_gpu_lie_in_another_file(tmp_path):
    path = timing_cache_file(tmp_path, LIBRARY, ORIN)
    assert path == tmp_path / "timing.10.3.0.sm87.orin-nvgpu.cache"
