"""What providers are given, and what is said where they are not there."""

import importlib.util

import pytest

from runtime.cuda.gpu import find_gpu
from runtime.errors import ProviderError
from runtime.onnx_runner import OnnxRunner
from runtime.providers import PROVIDERS, settings

PLUGIN = PROVIDERS["rtx"].plugin


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", ["tensorrt", "rtx"])
def test_engines_of_another_model_are_kept_in_another_folder(name):
    provider = PROVIDERS[name]
    one, same, other = (settings(provider, model) for model in (b"one", b"one", b"other"))
    assert one == same
    for option in provider.cache_options:
        assert one[option] != other[option]


def test_a_file_and_its_bytes_have_the_same_folder(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    assert settings(PROVIDERS["tensorrt"], path) == settings(PROVIDERS["tensorrt"], b"model")


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_a_provider_that_builds_no_engines_is_given_no_folder(name):
    assert settings(PROVIDERS[name], b"model") == PROVIDERS[name].options


@pytest.mark.skipif(
    importlib.util.find_spec(PLUGIN) is not None, reason=f"{PLUGIN} is installed here"
)
def test_a_plugin_that_is_not_installed_is_told_with_its_command(tiny_bundle):
    model = tiny_bundle.read("model.onnx")
    with pytest.raises(ProviderError, match="pip install onnxruntime-ep-nv-tensorrt-rtx-cu13"):
        OnnxRunner.open(model, "rtx")
    runner = OnnxRunner.open(model, "rtx", allow_fallback=True)
    assert runner.name == "onnxruntime cpu"
    assert "running on cpu instead" in runner.notes[0]


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU answers here")
@pytest.mark.parametrize("name", ["cuda", "tensorrt", "rtx"])
def test_a_provider_that_is_there_computes_the_same(name, tiny_bundle):
    from runtime.verification.verify import verify

    try:
        report = verify(tiny_bundle, name)
    except ProviderError as error:
        pytest.skip(str(error))
    assert report.passed
