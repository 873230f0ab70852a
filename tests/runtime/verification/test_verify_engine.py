"""Engines against golden inputs: what runs them here is ONNX Runtime, within an engine's limits."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from runtime.bundle import Bundle
from runtime.engines.engine import describe_engine
from runtime.engines.options import EngineOptions
from runtime.engines.profile import Profile
from runtime.errors import OptionError
from runtime.manifest import Engine, GoldenCase
from runtime.onnx_files.tensor import read_tensor, write_tensor
from runtime.onnx_runner import OnnxRunner
from runtime.schema import to_json
from runtime.verification.check_golden import TF32_GAP
from runtime.verification.verify import verify

# A plan's first bytes, as far as `read_plan_header` reads them, and no plan behind them.
PLAN = b"ftrt" + bytes(20) + bytes([10, 3, 0, 0]) + bytes(100)
ENGINE = Engine(file="fp32-trt.plan", variant="fp32")


class LimitedRunner:
    """Runs the variant's own graph, on images within a profile only, and off by as much as told."""

    def __init__(self, bundle, profile, gap):
        self.name = "limited"
        self._runner = OnnxRunner.open(bundle.read("model.onnx"))
        self._profile, self._gap = profile, gap

    def accepts(self, shape):
        return self._profile.accepts(shape)

    def logits(self, images):
        assert self._profile.accepts(images.shape)
        return self._runner.logits(images) + np.float32(self._gap)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def make_bundle(publish_tiny, tmp_path):
    """Return a function that publishes a bundle with an engine, and golden inputs of two sizes."""

    def make(*, tf32=False):
        def change_files(files):
            small = read_tensor(files["test_data_set_0/input_0.pb"])[:, :, :11, :9]
            model = OnnxRunner.open(files["model.onnx"])
            files["test_data_set_1/input_0.pb"] = write_tensor("images", small)
            files["test_data_set_1/output_0.pb"] = write_tensor("logits", model.logits(small))
            info = describe_engine(
                PLAN, files["model.onnx"], EngineOptions(tf32=tf32), "10.3.0", {"float32": 1.0}, 1.0
            )
            files[ENGINE.file], files[ENGINE.info_file] = PLAN, to_json(info)

        def change_manifest(manifest):
            variant = dataclasses.replace(manifest.variants["fp32"], golden_tolerances=(1e-4, 1e-4))
            odd = GoldenCase(folder="test_data_set_1", content="random of an odd size")
            return dataclasses.replace(
                manifest,
                variants={"fp32": variant},
                golden=(*manifest.golden, odd),
                engines={"fp32-trt": ENGINE},
            )

        folder = Path(tmp_path) / "with an engine"
        publish_tiny(folder, change_files=change_files, change_manifest=change_manifest)
        return Bundle.load(folder)

    return make


def run(bundle, smallest=(1, 3, 16, 16), largest=(8, 3, 16, 16), gap=0.0):
    profile = Profile(smallest=smallest, tuned=smallest, largest=largest)
    return verify(
        bundle,
        engines=["fp32-trt"],
        open_one=lambda opened, name: LimitedRunner(opened, profile, gap),
    )


def of_engine(report):
    return {check.name: check for check in report.checks if check.name.startswith("fp32-trt ")}


def test_golden_inputs_outside_the_profiles_are_skipped_and_said(make_bundle):
    report = run(make_bundle())
    assert report.passed
    assert report.runners == ("fp32-trt in limited",)
    odd = of_engine(report)["fp32-trt test_data_set_1"]
    assert odd.skipped
    assert odd.given == "random of an odd size, 2x3x11x9, is outside its profiles"
    assert not of_engine(report)["fp32-trt test_data_set_0"].skipped


def test_an_engine_that_takes_no_golden_input_is_not_proven(make_bundle):
    report = run(make_bundle(), smallest=(1, 3, 64, 64), largest=(8, 3, 64, 64))
    assert not report.passed
    assert "build it with a --profile" in report.first_difference.given


def test_an_engine_that_takes_all_is_held_to_all(make_bundle):
    report = run(make_bundle(), smallest=(1, 3, 8, 8), largest=(8, 3, 32, 32))
    assert report.passed
    assert not any(check.skipped for check in report.checks)


def test_an_engine_that_is_off_fails(make_bundle):
    report = run(make_bundle(), gap=1e-3)
    assert report.first_difference.name == "fp32-trt test_data_set_0"


def test_tf32_is_held_to_what_tf32_can(make_bundle):
    bundle = make_bundle(tf32=True)
    largest = np.abs(read_tensor(bundle.read("test_data_set_0/output_0.pb"))).max()
    assert run(bundle, gap=0.5 * TF32_GAP * largest).passed
    assert not run(bundle, gap=2 * TF32_GAP * largest).passed


def test_without_engines_named_the_variants_run_and_the_engine_is_compared_with_its_description(
    make_bundle,
):
    report = verify(make_bundle())
    assert report.passed
    assert report.runners == ("fp32 in onnxruntime cpu",)
    assert set(of_engine(report)) == {"fp32-trt description"}


def test_an_engine_that_is_not_there_is_refused_with_those_that_are(make_bundle):
    with pytest.raises(OptionError, match=r"no engine 'fp16-trt'; it has: fp32-trt\. Build them"):
        verify(make_bundle(), engines=["fp16-trt"])


@pytest.mark.parametrize("size", [0, 3, 30])
def test_a_plan_that_was_cut_short_is_not_run(make_bundle, size):
    bundle = make_bundle()
    (bundle.folder / ENGINE.file).write_bytes(PLAN[:size])
    report = run(bundle)
    assert report.first_difference.name == ENGINE.file
    assert report.runners == ()
