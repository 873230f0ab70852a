import dataclasses

import numpy as np
import pytest

from calibration.images import choose_images
from calibration.keys import DataKey, ModelKey, differing_parts
from calibration.ranges import ActivationRanges, Range
from calibration.ranges_file import RangesFile
from runtime.errors import BundleError
from runtime.image_spec import ImageSpec

SPEC = ImageSpec(resize=16, crop=16, mean=(0.3,), std=(0.4,), channels="L")
DATA = DataKey(images="0" * 64, method="mse")


@pytest.fixture
def model_key(graph) -> ModelKey:
    return ModelKey.of(graph, SPEC)


@pytest.fixture
def ranges_file(model_key) -> RangesFile:
    tensors = {"pool": Range(low=0.0, high=0.1), "conv2": Range(low=-1.5, high=2.0)}
    grids = {
        name: ActivationRanges(grid=name, method="mse", tensors=tensors)
        for name in ("int8", "uint8")
    }
    return RangesFile(
        model=model_key, data=DATA, images=12, grids=grids, peaks={"pool": (0.1, 0.05)}
    )


def test_weights_graph_and_preprocessing_each_have_a_hash_of_their_own(make_graph, model_key):
    other_weights = ModelKey.of(make_graph(seed=1), SPEC)
    assert differing_parts(other_weights, model_key) == ("weights",)
    other_spec = ModelKey.of(make_graph(), dataclasses.replace(SPEC, resize=18))
    assert differing_parts(other_spec, model_key) == ("preprocessing",)
    renamed = make_graph()
    next(iter(renamed.graph)).outputs[0].name = "first"
    assert differing_parts(ModelKey.of(renamed, SPEC), model_key) == ("graph",)


def test_remarks_in_the_graph_change_no_hash(make_graph, model_key):
    remarked = make_graph()
    remarked.producer_name = "somebody"
    remarked.metadata_props["labels"] = "cat, dog"
    next(iter(remarked.graph)).metadata_props["made_by"] = "/home/somebody"
    assert ModelKey.of(remarked, SPEC) == model_key


def test_images_have_the_hash_of_their_bytes_and_not_of_their_names(digits, tmp_path):
    for path in digits.iterdir():
        (tmp_path / f"x{path.name}").write_bytes(path.read_bytes())
    here, there = (DataKey.of(choose_images(f, 20)[0], "mse") for f in (digits, tmp_path))
    fewer = DataKey.of(choose_images(digits, 19)[0], "entropy")
    assert here == there
    assert differing_parts(here, fewer) == ("images", "method")


def test_saved_ranges_come_back_as_they_were(ranges_file, model_key, tmp_path):
    ranges_file.save(tmp_path / "new" / "ranges.json")
    assert RangesFile.load(tmp_path / "new" / "ranges.json", model_key, DATA) == ranges_file
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ranges.json"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("graph", "another graph"),
        ("weights", "other weights"),
        ("preprocessing", "another preprocessing"),
    ],
)
def test_ranges_of_another_model_are_refused_by_the_part(ranges_file, tmp_path, part, words):
    ranges_file.save(tmp_path / "ranges.json")
    expected = dataclasses.replace(ranges_file.model, **{part: "f" * 64})
    with pytest.raises(BundleError, match=rf"are stale: they were measured with {words}; calib"):
        RangesFile.load(tmp_path / "ranges.json", expected)


def test_ranges_of_other_images_and_another_method_are_refused(ranges_file, tmp_path):
    ranges_file.save(tmp_path / "ranges.json")
    expected = DataKey(images="f" * 64, method="auto")
    with pytest.raises(BundleError, match="measured with other images, another method; calibrate"):
        RangesFile.load(tmp_path / "ranges.json", ranges_file.model, expected)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:100], "is not valid JSON"),
        (lambda text: text.replace('"low": 0.0', '"low": 0.5'), "expected finite low <= 0 <= high"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 3'), "version 3"),
        (lambda text: text.replace('"uint8": {', '"uint9": {'), "lacks the ranges for uint8"),
        (lambda text: text.replace('"images": 12,', ""), "lacks 'images'"),
        (lambda text: text.replace('"images": 12', '"images": "12"'), "expected int"),
    ],
)
def test_a_damaged_file_is_one_clear_line(ranges_file, model_key, tmp_path, damage, message):
    path = tmp_path / "ranges.json"
    ranges_file.save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(BundleError, match=message) as caught:
        RangesFile.load(path, model_key)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_ranges_say_how_to_make_them(model_key, tmp_path):
    with pytest.raises(BundleError, match="make them with: python -m calibration BUNDLE --data"):
        RangesFile.load(tmp_path / "ranges.json", model_key)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(ranges_file, tmp_path):
    (tmp_path / "ranges.json").mkdir()
    with pytest.raises(BundleError, match="it is a folder; name a file"):
        ranges_file.save(tmp_path / "ranges.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot write"):
        ranges_file.save(tmp_path / "file" / "ranges.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "ranges.json"]


def test_numbers_come_back_to_the_last_bit(ranges_file, model_key, tmp_path):
    odd = float(np.float32(0.1)) + 1e-17
    grids = {
        name: ActivationRanges(grid=name, method="mse", tensors={"a": Range(low=0.0, high=odd)})
        for name in ("int8", "uint8")
    }
    dataclasses.replace(ranges_file, grids=grids).save(tmp_path / "ranges.json")
    loaded = RangesFile.load(tmp_path / "ranges.json", model_key)
    assert loaded.grids["int8"]["a"].high == odd
