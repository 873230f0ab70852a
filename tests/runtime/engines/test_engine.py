import dataclasses
import hashlib
import json

import pytest

from runtime.cuda.gpu import Gpu
from runtime.engines.engine import (
    EngineInfo,
    check_plan,
    check_runs_here,
    describe_engine,
    rebuild_command,
)
from runtime.engines.options import EngineOptions
from runtime.engines.profile import Profile
from runtime.errors import BundleError, EngineError
from runtime.schema import from_json, to_json

# Laid out as NVIDIA's trtexec reads plans: without a GPU no real one of TensorRT can be built.
PLAN = b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + bytes(100)
ONNX = b"the graph it came from"
ORIN = Gpu(name="Orin", sm="sm87", memory_mib=7620, cuda="12.6")
PROFILE = Profile(smallest=(1, 3, 8, 8), tuned=(2, 3, 8, 8), largest=(4, 3, 8, 8))


def describe(plan=PLAN, **options):
    options = EngineOptions(profiles=(PROFILE,), **options)
    info = describe_engine(plan, ONNX, options, "10.3.0", {"float16": 1.0}, 1.5)
    return dataclasses.replace(info, target_sms=("sm87",))


def test_a_description_says_where_the_engine_came_from():
    info = describe(workspace_mib=256)
    assert info.onnx_sha256 == hashlib.sha256(ONNX).hexdigest()
    assert info.plan.size == len(PLAN)
    assert info.options.workspace_mib == 256
    assert {"system", "machine", "python"} <= info.environment.keys()


def test_a_description_survives_its_json():
    info = describe(dla_core=None, refit=True)
    assert from_json(EngineInfo, to_json(info), "x.plan.json") == info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plan: plan[:-1], "content is 127 bytes"),
        (lambda plan: plan[:-1] + b"\1", "content is 128 bytes, SHA-256"),
        (lambda plan: plan.replace(bytes([10, 3, 0]), bytes([11, 4, 0])), "version is 11.4.0"),
        (lambda plan: plan.replace(b"ftrt", b"elf!"), "not a TensorRT engine"),
        (lambda plan: b"", "not a TensorRT engine"),
    ],
)
def test_an_altered_plan_is_refused_before_tensorrt_sees_it(change, message, tmp_path):
    with pytest.raises(EngineError, match=message):
        check_plan(change(PLAN), describe(), tmp_path / "fp16.plan")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flavour", "tensorrt_rtx", "flavour is tensorrt; its description says tensorrt_rtx"),
        ("version", "10.13.3.9", "version is 10.3.0; its description says 10.13.3"),
    ],
)
def test_a_plan_that_is_not_the_one_described_is_refused(field, value, message, tmp_path):
    described = dataclasses.replace(describe(), **{field: value})
    with pytest.raises(EngineError, match=message) as failure:
        check_plan(PLAN, described, tmp_path / "fp16.plan")
    assert "python -m runtime build" in str(failure.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seconds", "long", "expected float"),
        ("target_sms", None, "expected a list"),
        ("options", {"optimization_level": 9}, "optimization level: given 9"),
        ("extra", 1, "unknown key 'extra'"),
    ],
)
def test_a_hostile_description_is_refused(field, value, message):
    document = json.loads(to_json(describe())) | {field: value}
    with pytest.raises(BundleError, match=message):
        from_json(EngineInfo, json.dumps(document).encode(), "fp16.plan.json")


def test_an_engine_runs_on_the_gpu_and_version_it_was_built_for(tmp_path):
    check_runs_here(describe(), "10.3.0", ORIN, tmp_path / "fp16.plan")


@pytest.mark.parametrize(
    ("version", "gpu", "message"),
    [
        ("10.13.3.9", ORIN, "engine's version is 10.3.0; here it is 10.13.3.9"),
        ("10.3.0", dataclasses.replace(ORIN, sm="sm110"), "engine's GPU is sm87; here it is sm110"),
    ],
)
def test_an_engine_elsewhere_is_refused_with_the_field_that_differs(
    version, gpu, message, tmp_path
):
    with pytest.raises(EngineError, match=message):
        check_runs_here(describe(), version, gpu, tmp_path / "fp16.plan")


@pytest.mark.parametrize(
    ("options", "version", "sm"),
    [
        ({"version_compatible": True}, "11.4.0", "sm87"),
        ({"hardware_compatibility": "ampere_plus"}, "10.3.0", "sm89"),
    ],
)
def test_a_compatible_engine_runs_elsewhere(options, version, sm, tmp_path):
    there = dataclasses.replace(ORIN, sm=sm)
    check_runs_here(describe(**options), version, there, tmp_path / "fp16.plan")


def test_the_command_that_builds_again_names_the_bundle(tmp_path):
    bundle = tmp_path / "my bundle ü"
    bundle.mkdir()
    assert rebuild_command(bundle / "fp16.plan") == "python -m runtime build BUNDLE"
    (bundle / "manifest.json").touch()
    assert rebuild_command(bundle / "fp16.plan") == f"python -m runtime build '{bundle}'"
