"""Repositories, read by the protobuf of Triton's own client and held to Triton's rules."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import onnxruntime
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.cli import main
from export.triton.pbtxt import Word, render
from runtime.bundle import Bundle
from runtime.engines.engine import EngineInfo
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.manifest import Engine, FileInfo
from runtime.onnx_files.tensor import read_tensor
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.publishing.publish import publish
from runtime.schema import to_json

NUMPY_TYPES = {"TYPE_FP32": np.float32, "TYPE_UINT8": np.uint8}


def export(bundle, repository, *argv):
    return main(["triton", str(bundle.folder), "--repository", str(repository), *map(str, argv)])


def parse(folder):
    """Return the configuration of a model, as Triton's own message."""
    text = (folder / "config.pbtxt").read_text()
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def versions(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def check_rules(folder):
    """Fail unless the model keeps the rules of Triton's documentation on repositories."""
    config = parse(folder)
    assert config.name == folder.name
    assert (config.platform, config.backend) in [("onnxruntime_onnx", ""), ("tensorrt_plan", "")]
    file = {"onnxruntime_onnx": "model.onnx", "tensorrt_plan": "model.plan"}[config.platform]
    for version in versions(folder):
        assert [path.name for path in (folder / str(version)).iterdir()] == [file]
    (entry,) = config.input
    for tensor in (entry, *config.output):
        assert tensor.name
        assert tensor.data_type != model_config_pb2.TYPE_INVALID
        assert tensor.dims, "scalars need a reshape"
        assert all(dim == -1 or dim > 0 for dim in tensor.dims)
    for output in config.output:
        if output.label_filename:
            labels = (folder / output.label_filename).read_text().splitlines()
            assert len(labels) == output.dims[-1]
    if config.max_batch_size == 0:
        assert not config.HasField("dynamic_batching")
    batching = config.dynamic_batching
    assert all(1 <= b <= config.max_batch_size for b in batching.preferred_batch_size)
    assert all(group.count >= 1 for group in config.instance_group)
    assert len({warm_up.name for warm_up in config.model_warmup}) == len(config.model_warmup)
    for warm_up in config.model_warmup:
        assert 1 <= warm_up.batch_size <= max(1, config.max_batch_size)
        assert list(warm_up.inputs) == [entry.name]
        given = warm_up.inputs[entry.name]
        assert given.data_type == entry.data_type
        assert len(given.dims) == len(entry.dims)
        assert all(dim in (-1, size) for dim, size in zip(entry.dims, given.dims, strict=True))
        kind = NUMPY_TYPES[model_config_pb2.DataType.Name(given.data_type)]
        data = np.fromfile(folder / "warmup" / given.input_data_file, kind)
        assert data.size == np.prod(given.dims)
    return config


def check_graph(folder, config):
    """Fail unless what Triton will tell clients is what ONNX Runtime finds in the graph."""
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx")
    batched = config.max_batch_size > 0
    for told, found in zip(
        (*config.input, *config.output),
        (*session.get_inputs(), *session.get_outputs()),
        strict=True,
    ):
        assert told.name == found.name
        dims = [-1, *told.dims] if batched else list(told.dims)
        assert dims == [size if isinstance(size, int) else -1 for size in found.shape]


def test_variant_becomes_a_model_that_keeps_tritons_rules(digits_bundle, tmp_path, capsys):
    assert export(digits_bundle, tmp_path / "models", "--name", "Digits") == 0
    assert "digits-fp32" in capsys.readouterr().out
    folder = tmp_path / "models" / "digits-fp32"
    config = check_rules(folder)
    check_graph(folder, config)
    assert config.max_batch_size == 8
    assert config.output[0].label_filename == "labels.txt"
    assert config.HasField("dynamic_batching")
    assert config.version_policy.latest.num_versions == 1
    assert (folder / "1/model.onnx").read_bytes() == digits_bundle.read("model.onnx")


def test_model_is_warmed_up_with_golden_images_of_every_size(digits_bundle, tmp_path):
    export(digits_bundle, tmp_path)
    folder = tmp_path / "digits-fp32"
    cases = digits_bundle.manifest.golden
    golden = [read_tensor(digits_bundle.read(case.input_file)) for case in cases]
    warm_ups = parse(folder).model_warmup
    sizes = {tuple(warm_up.inputs["images"].dims) for warm_up in warm_ups}
    assert sizes == {images.shape[1:] for images in golden}
    assert {warm_up.batch_size for warm_up in warm_ups} == {1, 8}
    first = np.fromfile(folder / "warmup/golden_0", np.float32).reshape(golden[0].shape[1:])
    np.testing.assert_array_equal(first, golden[0][0])


def test_contract_says_how_an_image_becomes_the_input(digits_bundle, tmp_path):
    export(digits_bundle, tmp_path)
    folder = tmp_path / "digits-fp32"
    contract = json.loads((folder / "contract.json").read_text())
    spec = digits_bundle.manifest.image
    assert contract["image"]["crop"] == spec.crop
    assert contract["input"]["name"] == "images"
    told = parse(folder).parameters["resnet-deploy.image"].string_value
    assert json.loads(told) == json.loads(json.dumps(dataclasses.asdict(spec)))
    assert f"crop the central {spec.crop}x{spec.crop}" in (folder / "README.md").read_text()


def retrained(bundle, folder, **changes):
    """Publish the bundle with one bit of its model changed, and what else is to differ."""
    files = {path: bundle.read(path) for path in bundle.manifest.files}
    files["model.onnx"] = files["model.onnx"][:-1] + bytes([files["model.onnx"][-1] ^ 1])
    return publish(
        folder, files, lambda listed: dataclasses.replace(bundle.manifest, files=listed, **changes)
    )


def test_next_bundle_of_the_model_is_the_next_version_and_the_same_one_is_none(
    digits_bundle, tmp_path, capsys
):
    folder = tmp_path / "models" / "digits-fp32"
    other = retrained(digits_bundle, tmp_path / "digits")
    for bundle, expected in [
        (digits_bundle, [1]),
        (digits_bundle, [1]),
        (other, [1, 2]),
        (other, [1, 2]),
        (digits_bundle, [1, 2, 3]),
    ]:
        assert export(bundle, tmp_path / "models") == 0
        assert versions(folder) == expected
    assert capsys.readouterr().out.count("was there") == 2
    assert (folder / "2/model.onnx").read_bytes() == other.read("model.onnx")
    assert (folder / "1/model.onnx").read_bytes() == digits_bundle.read("model.onnx")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    check_rules(folder)


def test_version_can_be_chosen_but_not_taken(digits_bundle, tmp_path, capsys):
    assert export(digits_bundle, tmp_path, "--version", 7) == 0
    assert versions(tmp_path / "digits-fp32") == [7]
    assert export(digits_bundle, tmp_path, "--version", 7) == 2
    assert "has a version 7" in capsys.readouterr().err


def snapshot(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_another_model_under_the_name_is_refused_and_left_alone(digits_bundle, tmp_path, capsys):
    folder = tmp_path / "digits-fp32"
    (folder / "1").mkdir(parents=True)
    (folder / "1/model.onnx").write_bytes(b"somebody's")
    (folder / "config.pbtxt").write_text('name: "digits-fp32"')
    before = snapshot(tmp_path)
    assert export(digits_bundle, tmp_path) == 2
    assert "holds another model: '1' is not of this project; choose another --name" in (
        capsys.readouterr().err
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": tuple("abcdefghij")}, "by its labels: 0, 1,"),
        ({"image": "other"}, "by its image: ImageSpec(resize=8"),
    ],
)
def test_model_whose_clients_would_notice_is_refused(
    digits_bundle, tmp_path, capsys, changes, what
):
    if "image" in changes:
        changes = {"image": dataclasses.replace(digits_bundle.manifest.image, mean=(0.5,))}
    other = retrained(digits_bundle, tmp_path / "digits", **changes)
    assert export(digits_bundle, tmp_path / "models") == 0
    before = snapshot(tmp_path / "models")
    assert export(other, tmp_path / "models") == 2
    assert what in capsys.readouterr().err
    assert snapshot(tmp_path / "models") == before


def test_edited_configuration_is_kept_and_that_is_said(digits_bundle, tmp_path, capsys):
    export(digits_bundle, tmp_path / "models")
    config = tmp_path / "models/digits-fp32/config.pbtxt"
    edited = config.read_text().replace("count: 1", "count: 4")
    config.write_text(edited)
    for _ in range(2):
        other = retrained(digits_bundle, tmp_path / "digits", tools={"turn": str(_)})
        assert export(other, tmp_path / "models", "--version", 5 + _) == 0
        assert f"warning: '{config}' was edited, and is left as it is" in capsys.readouterr().err
        assert config.read_text() == edited


def test_altered_bundle_adds_nothing(digits_bundle, tmp_path, capsys):
    folder = Path(shutil.copytree(digits_bundle.folder, tmp_path / "digits"))
    (folder / "model.onnx").write_bytes(b"x")
    assert export(Bundle.load(folder), tmp_path / "models") == 2
    assert "was altered" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def with_engine(bundle, folder, flavour, name):
    """Return a copy of the bundle with an engine; no one here reads its plan."""
    shutil.copytree(bundle.folder, folder)
    plan = b"a plan"
    profile = parse_profile("1:2:4", 1, 8)
    info = EngineInfo(
        schema_version=1,
        flavour=flavour,
        version="10.13.3",
        target_sms=("sm89",),
        plan=FileInfo.of(plan),
        onnx_sha256=bundle.manifest.files["model.onnx"].sha256,
        options=EngineOptions(flavour=flavour, profiles=(profile,)),
        precision={},
        inspected=False,
        seconds=1.0,
        environment={},
    )
    file = f"{name}.plan"
    files = {file: plan, f"{file}.json": to_json(info)}
    return add_to_bundle(folder, files, {name: Engine(file=file, variant="fp32")})


def test_engine_becomes_a_model_within_its_profile(digits_bundle, tmp_path, capsys):
    bundle = with_engine(digits_bundle, tmp_path / "digits", "tensorrt", "fp32-trt")
    assert export(bundle, tmp_path / "models", "--json") == 0
    added = {each["model"]: each for each in json.loads(capsys.readouterr().out)["models"]}
    assert set(added) == {"digits-fp32", "digits-fp32-trt"}
    assert added["digits-fp32-trt"]["needs"] == "TensorRT 10.13.3 exactly, on sm89"
    folder = tmp_path / "models/digits-fp32-trt"
    config = check_rules(folder)
    assert config.max_batch_size == 4
    assert list(config.input[0].dims) == [1, 8, 8]
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert {warm_up.batch_size for warm_up in config.model_warmup} == {1, 4}
    assert (folder / "1/model.plan").read_bytes() == b"a plan"


def test_engine_of_tensorrt_rtx_is_left_out_unless_asked_for_and_then_refused(
    digits_bundle, tmp_path, capsys
):
    bundle = with_engine(digits_bundle, tmp_path / "digits", "tensorrt_rtx", "fp32-rtx")
    assert export(bundle, tmp_path / "models") == 0
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["digits-fp32"]
    assert export(bundle, tmp_path / "models", "--variant", "fp32-rtx") == 2
    assert "which Triton has no backend for" in capsys.readouterr().err


def test_graph_of_fixed_shape_is_not_batched(tmp_path):
    argv = ["resnet20-digits", "--onnx", "--static", "2x1x8x8", "--parity-budget", "0.001"]
    assert main([*argv, "--quiet", "--output", str(tmp_path / "fixed")]) == 0
    assert export(Bundle.load(tmp_path / "fixed"), tmp_path / "models") == 0
    folder = tmp_path / "models/fixed-fp32"
    config = check_rules(folder)
    check_graph(folder, config)
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [2, 1, 8, 8]


# The part of the InferenceService schema of KServe that a served repository touches.
INFERENCE_SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "serving.kserve.io/v1beta1"},
        "kind": {"const": "InferenceService"},
        "metadata": {
            "type": "object",
            "required": ["name"],
            "properties": {
                # knative and KServe make services of it: a label of RFC 1035
                "name": {
                    "type": "string",
                    "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$",
                    "maxLength": 63,
                }
            },
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["predictor"],
            "properties": {
                "predictor": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "minReplicas": {"type": "integer"},
                        "maxReplicas": {"type": "integer"},
                        "model": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["modelFormat"],
                            "properties": {
                                "modelFormat": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["name"],
                                    "properties": {
                                        "name": {"type": "string"},
                                        "version": {"type": "string"},
                                    },
                                },
                                "protocolVersion": {"type": "string"},
                                "runtime": {"type": "string"},
                                "storageUri": {"type": "string"},
                                "resources": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "properties": {
                                        part: {
                                            "type": "object",
                                            "additionalProperties": {
                                                "type": ["integer", "string"],
                                                "pattern": r"^[0-9.]+([eEinumkKMGTP]*)$",
                                            },
                                        }
                                        for part in ("limits", "requests")
                                    },
                                },
                            },
                        },
                    },
                }
            },
        },
    },
}


@pytest.mark.parametrize("engine", [False, True])
def test_inference_service_is_one(digits_bundle, tmp_path, engine, capsys):
    bundle = digits_bundle
    if engine:
        bundle = with_engine(bundle, tmp_path / "digits", "tensorrt", "fp32-trt")
    file = tmp_path / "deploy" / "service.yaml"
    uri = "pvc://models/digits"
    assert export(bundle, tmp_path / "models", "--kserve", file, "--storage-uri", uri) == 0
    assert f"kubectl apply -f {file}" in capsys.readouterr().out
    document = yaml.safe_load(file.read_text())
    jsonschema.validate(document, INFERENCE_SERVICE)
    model = document["spec"]["predictor"]["model"]
    assert model["storageUri"] == uri
    assert model["runtime"] == "kserve-tritonserver"
    assert ("resources" in model) == engine


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--name", "a b"], "expected letters, digits and hyphens"),
        (["--variant", "fp8"], "has no variant 'fp8'"),
        (["--batch", "0"], "expected at least 1 each"),
        (["--queue-delay-us", "9" * 30], "and at most 2,147,483,647"),
        (["--version", "9" * 30], "version: given 9999"),
        (["--kserve", "x.yaml"], "storage: given ''"),
        (["--storage-uri", "s3://x"], "give its --kserve FILE, too"),
        (["--kserve", "/dev/null", "--storage-uri", "s3://x"], "it is a device or pipe"),
        (["--kserve", "x.yaml", "--name", "7", "--storage-uri", "s3://x"], "expected a letter"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    digits_bundle, tmp_path, capsys, argv, reason
):
    assert export(digits_bundle, tmp_path / "models", *argv) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_repository_within_a_bundle_is_refused(digits_bundle, capsys):
    for inside in ("", "models"):
        assert export(digits_bundle, digits_bundle.folder / inside) == 2
        assert "would lie in the bundle" in capsys.readouterr().err
    assert digits_bundle.unlisted() == []


def test_text_form_survives_what_labels_may_hold():
    odd = 'tab\t, "quote", back\\slash, new\nline, 猫, \x07, \x7f, '
    message = {"name": odd, "max_batch_size": 3, "platform": "x"}
    message["output"] = [{"name": "o", "data_type": Word("TYPE_FP16"), "dims": [1, -1]}]
    message["optimization"] = {"cuda": {"graphs": True}}
    config = text_format.Parse(render(message), model_config_pb2.ModelConfig())
    assert config.name == odd
    assert list(config.output[0].dims) == [1, -1]
    assert config.output[0].data_type == model_config_pb2.TYPE_FP16
    assert config.optimization.cuda.graphs
