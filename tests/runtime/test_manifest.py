import dataclasses
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BundleError
from runtime.manifest import FileInfo, Manifest, check_path


def changed(manifest, **changes):
    document = json.loads(manifest.to_json())
    return json.dumps({**document, **changes}).encode()


def test_manifest_survives_the_disk(tiny_bundle):
    assert Manifest.from_json(tiny_bundle.manifest.to_json()) == tiny_bundle.manifest


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "has schema version 2; this release reads version 1: update resnet-deploy"),
        (0, "has schema version 0; this release reads version 1: export the model again"),
        ("1", "has no schema version"),
        (None, "has no schema version"),
    ],
)
def test_other_schema_version_is_told_before_anything_else_is_read(version, message):
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(json.dumps({"schema_version": version, "unknown": 1}).encode())


@pytest.mark.parametrize("data", [b"[]", b"3", b"null", b"{}"])
def test_json_that_is_no_manifest_is_told_so(data):
    with pytest.raises(BundleError, match="not a bundle's manifest"):
        Manifest.from_json(data)


INFO = {"sha256": "0" * 64, "size": 1}


OUTSIDE = ["../x", "/etc/passwd", "a/../../x", "a/..", "..", "C:\\x", "a\\b", "c:x"]
NOT_IN_SHORTEST_FORM = [".", "", "a//b", "a/./b", "a/", "./a"]
NOT_PRINTABLE = ["a\0b", "a\nb", "\x1b[2Jx"]


@pytest.mark.parametrize("path", [*OUTSIDE, *NOT_IN_SHORTEST_FORM, *NOT_PRINTABLE])
def test_path_that_leads_outside_is_refused(tiny_bundle, path):
    files = {**json.loads(tiny_bundle.manifest.to_json())["files"], path: INFO}
    with pytest.raises(BundleError, match="leads outside the bundle"):
        Manifest.from_json(changed(tiny_bundle.manifest, files=files))


def test_manifest_that_lists_itself_is_refused():
    with pytest.raises(BundleError, match="lists itself"):
        check_path("manifest.json")


@given(st.text(alphabet="ab./\\: \0猫", max_size=12))
def test_accepted_path_stays_inside_the_folder(path):
    try:
        check_path(path)
    except BundleError:
        return
    inside = os.path.normpath(os.path.join("/bundle", path))
    assert inside == f"/bundle/{path}"


@pytest.mark.parametrize(
    "info", [{"sha256": "0" * 63, "size": 1}, {"sha256": "G" * 64, "size": 1}, {**INFO, "size": -1}]
)
def test_malformed_hash_or_size_is_refused(tiny_bundle, info):
    files = {**json.loads(tiny_bundle.manifest.to_json())["files"], "extra": info}
    with pytest.raises(BundleError, match="hash or size of 'extra' is malformed"):
        Manifest.from_json(changed(tiny_bundle.manifest, files=files))


def test_variant_of_an_unlisted_file_is_refused(tiny_bundle):
    files = dict(tiny_bundle.manifest.files)
    del files["model.onnx"]
    with pytest.raises(BundleError, match=r"names 'model\.onnx', which its file list lacks"):
        dataclasses.replace(tiny_bundle.manifest, files=files)


def test_golden_case_of_an_unlisted_file_is_refused(tiny_bundle):
    files = dict(tiny_bundle.manifest.files)
    del files["test_data_set_0/output_0.pb"]
    with pytest.raises(BundleError, match=r"names 'test_data_set_0/output_0\.pb'"):
        dataclasses.replace(tiny_bundle.manifest, files=files)


def test_bundle_without_the_float32_variant_is_refused(tiny_bundle):
    with pytest.raises(BundleError, match="lacks the variant 'fp32'"):
        dataclasses.replace(tiny_bundle.manifest, variants={})


@pytest.mark.parametrize(
    ("tolerances", "message"),
    [
        ((), "has 0 golden tolerances for 1 golden cases"),
        ((-1.0,), "would prove nothing"),
        ((float("inf"),), "would prove nothing"),
        ((float("nan"),), "would prove nothing"),
    ],
)
def test_tolerance_that_proves_nothing_is_refused(tiny_bundle, tolerances, message):
    variant = tiny_bundle.manifest.variants["fp32"]
    variants = {"fp32": dataclasses.replace(variant, golden_tolerances=tolerances)}
    with pytest.raises(BundleError, match=message):
        dataclasses.replace(tiny_bundle.manifest, variants=variants)


def test_labels_must_be_one_per_class_or_none(tiny_bundle):
    assert dataclasses.replace(tiny_bundle.manifest, labels=()).labels == ()
    with pytest.raises(BundleError, match="3 labels for 10 classes"):
        dataclasses.replace(tiny_bundle.manifest, labels=("a", "b", "c"))


def test_impossible_preprocessing_is_a_fault_of_the_manifest(tiny_bundle):
    image = {**json.loads(tiny_bundle.manifest.to_json())["image"], "std": [0, 1, 1]}
    with pytest.raises(BundleError, match=r"manifest\.json: image: normalisation: .*std > 0"):
        Manifest.from_json(changed(tiny_bundle.manifest, image=image))


def test_file_info_is_that_of_the_bytes():
    info = FileInfo.of(b"abc")
    assert info.sha256.startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
    assert str(info) == "3 bytes, SHA-256 ba7816bf8f01"


def with_input(manifest, pixels, dtype, shape):
    variants = json.loads(manifest.to_json())["variants"]
    variants["fp32"]["input"].update(dtype=dtype, shape=shape)
    return changed(manifest, variants=variants, pixels=pixels)


@pytest.mark.parametrize(
    ("pixels", "shape"), [("NCHW", ("n", "3", "h", "w")), ("NHWC", ("n", "h", "w", "3"))]
)
def test_bundle_of_pixels_says_how_they_lie(tiny_bundle, pixels, shape):
    manifest = Manifest.from_json(with_input(tiny_bundle.manifest, pixels, "uint8", shape))
    assert manifest.pixels == pixels
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    ("pixels", "dtype", "shape", "message"),
    [
        ("NCHW", "float", ["n", "3", "h", "w"], "expected uint8 pixels of 3 channels as NCHW"),
        ("NHWC", "uint8", ["n", "3", "h", "w"], "expected uint8 pixels of 3 channels as NHWC"),
        ("NHWC", "uint8", ["n", "3"], "expected uint8 pixels of 3 channels as NHWC"),
        ("", "uint8", ["n", "3", "h", "w"], "expected normalised images"),
        ("", "float", [], "expected normalised images of 4 dimensions"),
        ("CHW", "uint8", ["n", "3", "h", "w"], "pixels lie as 'CHW'; expected one of NCHW, NHWC"),
    ],
)
def test_graph_that_takes_other_images_than_the_bundle_says_is_refused(
    tiny_bundle, pixels, dtype, shape, message
):
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(with_input(tiny_bundle.manifest, pixels, dtype, shape))


def test_every_variant_and_engine_has_its_model_file(tiny_bundle):
    assert tiny_bundle.manifest.model_files == {"fp32": "model.onnx"}
