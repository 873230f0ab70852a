"""What providers are given, and what is said where they are not there."""

import json
import re
import subprocess
import sys

import pytest

from runtime.arguments import PROVIDER_NAMES
from runtime.cuda.gpu import find_gpu
from runtime.errors import ProviderError
from runtime.onnx_runner import OnnxRunner
from runtime.providers import PROVIDERS, settings

PLUGINS = [name for name, provider in PROVIDERS.items() if provider.plugin]


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


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_that_is_not_installed_is_told_with_its_command(name, tiny_bundle):
    code = (
        "import sys; sys.modules[sys.argv[1]] = None\n"
        "from runtime.cli import main; sys.exit(main(sys.argv[2:]))"
    )
    words = [PROVIDERS[name].plugin, "verify", str(tiny_bundle.folder), "--provider", name]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: provider '{name}': its package is not installed. Run: ")
    assert f"pip install {PROVIDERS[name].package}\n" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_that_does_not_start_gives_way_only_where_that_is_allowed(name, tiny_bundle):
    model = tiny_bundle.read("model.onnx")
    runner = OnnxRunner.open(model, name, allow_fallback=True)
    if runner.provider != name:
        assert runner.name == "onnxruntime cpu"
        assert "running on cpu instead" in runner.notes[0]
        with pytest.raises(ProviderError, match=f"provider '{name}': "):
            OnnxRunner.open(model, name)


def test_openvino_is_told_how_many_threads_and_never_to_choose_the_precision():
    for threads in (0, 3):
        config = json.loads(settings(PROVIDERS["openvino"], b"", threads)["load_config"])["CPU"]
        assert config["INFERENCE_NUM_THREADS"] == threads
        assert config["INFERENCE_PRECISION_HINT"] == "f32"


def test_the_command_line_names_them_all():
    assert re.findall(r"\w+", PROVIDER_NAMES.replace(" or ", ", ")) == list(PROVIDERS)


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
