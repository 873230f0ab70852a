import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.cuda.gpu import Gpu
from runtime.engines.engine import (
    EngineInfo,
    check_plan,
    check_runs_here,
    describe_engine,
    info_file,
    read_engine,
    rebuild_command,
    save_engine,
)
from runtime.engines.options import EngineOptions
from runtime.engines.profile import Profile
from runtime.errors import EngineError
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


def test_what_was_saved_is_what_is_read(tmp_path):
    save_engine(tmp_path / "new" / "fp16.plan", PLAN, describe())
    plan, info = read_engine(tmp_path / "new" / "fp16.plan")
    assert plan == PLAN
    assert info == describe()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["fp16.plan", "fp16.plan.json"]


def test_a_plan_is_written_raw_so_that_other_tools_read_it(tmp_path):
    save_engine(tmp_path / "fp16.plan", PLAN, describe())
    assert (tmp_path / "fp16.plan").read_bytes() == PLAN


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
    path = tmp_path / "fp16.plan"
    save_engine(path, PLAN, describe())
    path.write_bytes(change(PLAN))
    with pytest.raises(EngineError, match=message):
        read_engine(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flavour", "tensorrt_rtx", "flavour is tensorrt; its description says tensorrt_rtx"),
        ("version", "10.13.3.9", "version is 10.3.0; its description says 10.13.3"),
        ("seconds", "long", "expected float"),
        ("target_sms", None, "expected a list"),
        ("options", {"optimization_level": 9}, "optimization level: given 9"),
        ("extra", 1, "unknown key 'extra'"),
    ],
)
def test_a_description_that_disagrees_or_is_hostile_is_refused(field, value, message, tmp_path):
    path = tmp_path / "fp16.plan"
    save_engine(path, PLAN, describe())
    document = json.loads(info_file(path).read_bytes()) | {field: value}
    info_file(path).write_text(json.dumps(document))
    with pytest.raises(EngineError, match=message) as failure:
        read_engine(path)
    assert "python -m runtime build" in str(failure.value)


@pytest.mark.parametrize("missing", ["fp16.plan", "fp16.plan.json"])
def test_neither_file_is_used_without_the_other(missing, tmp_path):
    save_engine(tmp_path / "fp16.plan", PLAN, describe())
    (tmp_path / missing).unlink()
    with pytest.raises(
        EngineError, match=f"there is no '.*{missing}'. Build it: python -m runtime"
    ):
        read_engine(tmp_path / "fp16.plan")


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


def save_often(path, last_byte):
    plan = PLAN[:-1] + bytes([last_byte])
    for _ in range(50):
        save_engine(path, plan, describe(plan))


def test_two_builds_of_one_engine_at_once_leave_a_plan_with_its_own_description(tmp_path):
    path = tmp_path / "fp16.plan"
    save_engine(path, PLAN, describe())
    with ThreadPoolExecutor(2) as writers:
        written = [writers.submit(save_often, path, last_byte) for last_byte in (1, 2)]
        for _ in range(50):
            check_plan(*read_engine(path), path)
        for each in written:
            each.result()
    plan, _ = read_engine(path)
    assert plan[-1] in (1, 2)
