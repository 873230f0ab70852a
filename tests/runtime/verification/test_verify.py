import dataclasses
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from runtime.bundle import Bundle
from runtime.errors import BackendError, ProviderError
from runtime.onnx_files.tensor import read_tensor, write_tensor
from runtime.variant import TensorInfo
from runtime.verification.verify import verify


def differences(bundle):
    return {check.name: check for check in verify(bundle).checks if not check.passed}


def with_variant(**changes):
    def change(manifest):
        variant = dataclasses.replace(manifest.variants["fp32"], **changes)
        return dataclasses.replace(manifest, variants={"fp32": variant})

    return change


def test_sound_bundle_passes_every_check(tiny_bundle):
    report = verify(tiny_bundle)
    assert report.passed
    assert report.first_difference is None
    assert report.runners == ("fp32 in onnxruntime cpu",)
    names = [check.name for check in report.checks]
    assert names[:5] == [*tiny_bundle.manifest.files, "unlisted files"]
    assert names[-1] == "fp32 test_data_set_0"


def test_model_of_fixed_shape_passes(publish_tiny, tmp_path):
    assert verify(publish_tiny(tmp_path / "tiny", shape=("4", "3", "16", "16"))).passed


@pytest.mark.parametrize("path", ["model.onnx", "parity.json", "test_data_set_0/output_0.pb"])
def test_changed_byte_is_the_first_difference(tiny_folder, path):
    data = bytearray((tiny_folder / path).read_bytes())
    data[-1] ^= 1
    (tiny_folder / path).write_bytes(data)
    report = verify(Bundle.load(tiny_folder))
    assert not report.passed
    assert report.first_difference.name == path
    assert "SHA-256" in report.first_difference.given


def test_what_differs_is_not_run(tiny_folder):
    (tiny_folder / "model.onnx").write_bytes(b"not a model")
    report = verify(Bundle.load(tiny_folder))
    assert report.runners == ()
    assert [check.name for check in report.checks if not check.passed] == ["model.onnx"]


@pytest.mark.parametrize("path", ["model.onnx", "test_data_set_0/input_0.pb"])
def test_missing_file_is_a_difference(tiny_folder, path):
    (tiny_folder / path).unlink()
    assert "lacks" in verify(Bundle.load(tiny_folder)).first_difference.given


def test_link_that_leads_outside_is_a_difference(tiny_folder):
    (tiny_folder / "parity.json").unlink()
    (tiny_folder / "parity.json").symlink_to("/etc/passwd")
    assert "leads outside" in verify(Bundle.load(tiny_folder)).first_difference.given


def test_file_nobody_listed_is_a_difference(tiny_folder):
    (tiny_folder / "extra.onnx").touch()
    assert differences(Bundle.load(tiny_folder))["unlisted files"].given == "extra.onnx"


def with_manifest(bundle, **changes):
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, **changes))


def test_hash_counts_whole_though_its_beginning_is_shown(tiny_bundle):
    files = dict(tiny_bundle.manifest.files)
    listed = files["parity.json"]
    files["parity.json"] = dataclasses.replace(listed, sha256=listed.sha256[:12].ljust(64, "0"))
    assert list(differences(with_manifest(tiny_bundle, files=files))) == ["parity.json"]


def test_bundle_without_golden_inputs_proves_nothing(tiny_bundle):
    variants = {
        name: dataclasses.replace(variant, golden_tolerances=())
        for name, variant in tiny_bundle.manifest.variants.items()
    }
    bundle = with_manifest(tiny_bundle, golden=(), variants=variants)
    assert list(differences(bundle)) == ["golden inputs"]


def test_weights_that_moved_are_seen_in_the_golden_logits(publish_tiny, tmp_path):
    def scale_last_layer(model):
        weights = numpy_helper.to_array(model.graph.initializer[2]) * np.float32(1.001)
        model.graph.initializer[2].CopyFrom(numpy_helper.from_array(weights, "w3"))

    bundle = publish_tiny(tmp_path / "tiny", change_model=scale_last_layer)
    (name,) = differences(bundle)
    assert name == "fp32 test_data_set_0"
    check = differences(bundle)[name]
    gap = check.given.removeprefix("off by ").removesuffix(" on random normal")
    assert 0.0001 < float(gap) < 0.1
    assert check.expected == "off by at most 0.0001"


def test_nan_is_a_difference(publish_tiny, tmp_path):
    def poison(model):
        weights = np.full((10, 8), np.nan, np.float32)
        model.graph.initializer[2].CopyFrom(numpy_helper.from_array(weights, "w3"))

    (check,) = differences(publish_tiny(tmp_path / "tiny", change_model=poison)).values()
    assert check.given == "off by nan on random normal"


def replace_output(array):
    def change(files):
        files["test_data_set_0/output_0.pb"] = write_tensor("logits", array)

    return change


@pytest.mark.parametrize("shape", [(1, 10), (2, 1), (10,), (0, 10)])
def test_logits_of_another_shape_are_a_difference(publish_tiny, tmp_path, shape):
    change = replace_output(np.zeros(shape, np.float32))
    (check,) = differences(publish_tiny(tmp_path / "tiny", change_files=change)).values()
    assert check.given == "logits [2, 10]"
    assert check.expected == f"logits {list(shape)}"


def test_golden_file_that_is_no_tensor_is_a_difference(publish_tiny, tmp_path):
    def change(files):
        files["test_data_set_0/input_0.pb"] = b"not a tensor"

    (check,) = differences(publish_tiny(tmp_path / "tiny", change_files=change)).values()
    assert "not a" in check.given


def test_golden_input_the_model_cannot_take_is_a_difference(publish_tiny, tmp_path):
    def change(files):
        images = read_tensor(files["test_data_set_0/input_0.pb"])
        files["test_data_set_0/input_0.pb"] = write_tensor("images", images.astype(np.float64))

    (check,) = differences(publish_tiny(tmp_path / "tiny", change_files=change)).values()
    assert "given images of float64" in check.given


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (
            {"input": TensorInfo(name="x", dtype="float", shape=("batch", "3", "height", "width"))},
            "fp32 input",
        ),
        (
            {"input": TensorInfo(name="images", dtype="float", shape=("1", "3", "16", "16"))},
            "fp32 input",
        ),
        (
            {"output": TensorInfo(name="logits", dtype="float16", shape=("batch", "10"))},
            "fp32 output",
        ),
        ({"opset": 17}, "fp32 opset"),
    ],
)
def test_model_that_is_not_what_the_manifest_says_is_a_difference(
    publish_tiny, tmp_path, changes, name
):
    bundle = publish_tiny(tmp_path / "tiny", change_manifest=with_variant(**changes))
    assert list(differences(bundle)) == [name]


def test_class_count_of_the_graph_must_be_that_of_the_manifest(publish_tiny, tmp_path):
    def change(manifest):
        model = dataclasses.replace(manifest.model, classes=9)
        return dataclasses.replace(manifest, model=model, labels=())

    names = list(differences(publish_tiny(tmp_path / "tiny", change_manifest=change)))
    assert names == ["fp32 classes", "fp32 resnet-deploy.labels"]


def test_preprocessing_in_the_model_must_be_that_of_the_manifest(publish_tiny, tmp_path):
    def change(manifest):
        image = dataclasses.replace(manifest.image, mean=(0.5, 0.5, 0.4))
        return dataclasses.replace(manifest, image=image)

    (check,) = differences(publish_tiny(tmp_path / "tiny", change_manifest=change)).values()
    assert check.name == "fp32 resnet-deploy.image"
    assert "[0.5, 0.5, 0.5]" in check.given
    assert "[0.5, 0.5, 0.4]" in check.expected


def test_model_without_preprocessing_is_a_difference(publish_tiny, tmp_path):
    bundle = publish_tiny(
        tmp_path / "tiny", change_model=lambda model: onnx.helper.set_model_props(model, {})
    )
    found = differences(bundle)
    assert list(found) == ["fp32 resnet-deploy.image", "fp32 resnet-deploy.labels"]
    assert found["fp32 resnet-deploy.image"].given == "nothing"


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="TensorRT may be willing here")
def test_unwilling_provider_is_no_fault_of_the_bundle(tiny_bundle):
    with pytest.raises(ProviderError, match="tensorrt"):
        verify(tiny_bundle, "tensorrt")


def test_opset_of_the_future_is_no_fault_of_the_bundle(publish_tiny, tmp_path):
    def age(model):
        model.opset_import[0].version = 99

    bundle = publish_tiny(tmp_path / "tiny", change_model=age)
    with pytest.raises(BackendError):
        verify(bundle)


def test_bundle_of_pixels_passes_every_check(pixel_bundle):
    report = verify(pixel_bundle)
    assert report.passed, report.first_difference
    channels = next(check for check in report.checks if check.name == "fp32 channels")
    assert channels.given == "3"
    assert any(check.name == "fp32 resnet-deploy.pixels" for check in report.checks)


def test_model_that_does_not_say_how_its_pixels_lie_is_a_difference(publish_tiny, tmp_path):
    def forget(model):
        kept = {p.key: p.value for p in model.metadata_props if p.key != "resnet-deploy.pixels"}
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, kept)

    bundle = publish_tiny(tmp_path / "b", pixels="NHWC", change_model=forget)
    difference = verify(bundle).first_difference
    assert (difference.name, difference.expected) == ("fp32 resnet-deploy.pixels", "NHWC")


def test_golden_input_that_is_normalised_is_none_for_a_model_of_pixels(publish_tiny, tmp_path):
    def normalise(files):
        pixels = read_tensor(files["test_data_set_0/input_0.pb"]).astype(np.float32)
        files["test_data_set_0/input_0.pb"] = write_tensor("pixels", pixels)

    report = verify(publish_tiny(tmp_path / "b", pixels="NCHW", change_files=normalise))
    assert "the model normalises pixels of 0 to 255 itself" in report.first_difference.given
