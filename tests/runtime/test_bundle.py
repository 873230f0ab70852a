import json
import os

import numpy as np
import onnx
import pytest

from runtime.bundle import Bundle
from runtime.errors import BundleError, OptionError
from runtime.open_runner import open_runner


def flip_a_bit(path, position=-1):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_bundle_reads_what_was_published(tiny_bundle):
    loaded = Bundle.load(tiny_bundle.folder)
    assert loaded == tiny_bundle
    assert loaded.read("parity.json") == b"{}\n"


def test_bundle_is_read_from_wherever_it_was_moved(tiny_folder, tmp_path):
    os.rename(tiny_folder, tmp_path / "moved")
    assert Bundle.load(tmp_path / "moved").read("parity.json") == b"{}\n"


def test_missing_folder_says_how_to_make_one(tmp_path):
    with pytest.raises(BundleError, match=r"there is no bundle '.*nowhere'; make one with: python"):
        Bundle.load(tmp_path / "nowhere")


def test_model_in_place_of_its_folder_is_pointed_out(tiny_bundle):
    with pytest.raises(
        BundleError, match=r"is a file; expected the bundle's folder, perhaps '.*tiny'"
    ):
        Bundle.load(tiny_bundle.folder / "model.onnx")


def test_folder_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json$"):
        Bundle.load(tmp_path)


def test_folder_of_bundles_names_them(tiny_folder):
    with pytest.raises(BundleError, match=r"no manifest\.json; did you mean .*tiny\?"):
        Bundle.load(tiny_folder.parent)


def test_manifest_cut_short_is_one_line(tiny_folder):
    manifest = tiny_folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:200])
    with pytest.raises(
        BundleError, match=r"'.*tiny': manifest\.json is not valid JSON .*cut short"
    ):
        Bundle.load(tiny_folder)


def test_manifest_of_other_schema_version_is_one_line(tiny_folder):
    manifest = tiny_folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema_version": 9}))
    with pytest.raises(BundleError, match=r"'.*tiny': manifest\.json has schema version 9"):
        Bundle.load(tiny_folder)


def test_endless_manifest_is_not_read_to_the_end(tiny_folder):
    with (tiny_folder / "manifest.json").open("wb") as file:
        file.truncate(10 << 30)  # a hole: 10 GiB that take no space
    with pytest.raises(BundleError, match=r"exceeds 16 MiB"):
        Bundle.load(tiny_folder)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_manifest_that_is_no_regular_file_is_refused_not_waited_for(tmp_path, make):
    make(tmp_path / "manifest.json")
    with pytest.raises(BundleError, match=r"is not a regular file|leads outside the bundle"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("position", [0, 100, -1])
def test_changed_byte_is_refused(tiny_folder, position):
    flip_a_bit(tiny_folder / "model.onnx", position)
    with pytest.raises(
        BundleError, match=r"'.*model\.onnx' was altered: given 2,\d+ bytes, SHA-256"
    ):
        Bundle.load(tiny_folder).read("model.onnx")


@pytest.mark.parametrize("size", [0, 1, 10_000])
def test_other_size_is_refused(tiny_folder, size):
    os.truncate(tiny_folder / "model.onnx", size)
    with pytest.raises(BundleError, match=f"was altered: given {size:,} bytes; expected 2,"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_file_without_end_is_not_read_to_tell_that_it_was_altered(tiny_folder):
    os.truncate(tiny_folder / "model.onnx", 1 << 40)  # a hole: 1 TiB that takes no space
    with pytest.raises(BundleError, match=r"given 1,099,511,627,776 bytes; expected 2,"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_missing_file_is_named(tiny_folder):
    (tiny_folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"'.*tiny' lacks 'model\.onnx'; copy the whole folder"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_link_that_leads_outside_is_refused_even_to_the_right_bytes(tiny_folder, tmp_path):
    os.rename(tiny_folder / "model.onnx", tmp_path / "model.onnx")
    (tiny_folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(BundleError, match=r"leads outside the bundle"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_linked_folder_that_leads_outside_is_refused(tiny_folder, tmp_path):
    os.rename(tiny_folder / "test_data_set_0", tmp_path / "elsewhere")
    (tiny_folder / "test_data_set_0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"leads outside the bundle"):
        Bundle.load(tiny_folder).read("test_data_set_0/input_0.pb")


def test_link_within_the_bundle_is_followed(tiny_folder):
    os.rename(tiny_folder / "model.onnx", tiny_folder / "other.onnx")
    (tiny_folder / "model.onnx").symlink_to("other.onnx")
    assert Bundle.load(tiny_folder).read("model.onnx")


def test_bundle_may_be_reached_through_a_link(tiny_folder, tmp_path):
    (tmp_path / "link").symlink_to(tiny_folder)
    assert Bundle.load(tmp_path / "link").read("parity.json") == b"{}\n"


def test_circle_of_links_is_one_line(tiny_folder):
    (tiny_folder / "model.onnx").unlink()
    (tiny_folder / "model.onnx").symlink_to("model.onnx")
    with pytest.raises(BundleError, match=r"cannot read '.*model\.onnx': Too many levels"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_pipe_in_place_of_a_file_is_refused_not_waited_for(tiny_folder):
    (tiny_folder / "model.onnx").unlink()
    os.mkfifo(tiny_folder / "model.onnx")
    with pytest.raises(BundleError, match=r"is not a regular file"):
        Bundle.load(tiny_folder).read("model.onnx")


def test_files_nobody_listed_are_found(tiny_folder, tmp_path):
    assert Bundle.load(tiny_folder).unlisted() == []
    (tiny_folder / "notes.txt").touch()
    (tiny_folder / "test_data_set_0" / "extra.pb").touch()
    (tiny_folder / "link").symlink_to(tmp_path)
    assert Bundle.load(tiny_folder).unlisted() == [
        "link",
        "notes.txt",
        "test_data_set_0/extra.pb",
    ]


def test_runner_runs_the_model_of_the_bundle(tiny_bundle):
    runner = open_runner(tiny_bundle)
    assert runner.name == "onnxruntime cpu"
    assert runner.logits(np.zeros((2, 3, 20, 24), np.float32)).shape == (2, 10)


def test_unknown_variant_is_answered_with_the_known_ones(tiny_bundle):
    with pytest.raises(OptionError, match=r"has no variant 'int4'; it has: fp32"):
        open_runner(tiny_bundle, "int4")


def test_altered_model_is_not_run(tiny_folder):
    flip_a_bit(tiny_folder / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx' was altered"):
        open_runner(Bundle.load(tiny_folder))


def test_model_with_weights_elsewhere_is_not_run(publish_tiny, tmp_path):
    def move_weights(model):
        weights = model.graph.initializer[0]
        onnx.external_data_helper.set_external_data(weights, "../../weights.bin")
        weights.ClearField("raw_data")

    bundle = publish_tiny(tmp_path / "tiny", change_model=move_weights)
    with pytest.raises(
        BundleError, match=r"'fp32': .* 'w1' has its data in the file '\.\./\.\./wei"
    ):
        open_runner(bundle)


def test_file_no_backend_knows_is_not_run(publish_tiny, tmp_path):
    def rename(manifest):
        document = json.loads(manifest.to_json())
        document["variants"]["fp32"]["file"] = "parity.json"
        return type(manifest).from_json(json.dumps(document).encode())

    bundle = publish_tiny(tmp_path / "tiny", change_manifest=rename)
    with pytest.raises(BundleError, match=r"parity\.json' is no model; expected a file of \.onnx"):
        open_runner(bundle)
