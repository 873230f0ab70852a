import hashlib
import math
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models import Weights
from torchvision.transforms._presets import ImageClassification

from export.checkpoint import TrainedModel, write_checkpoint
from export.load import load
from export.load_options import LoadOptions
from export.models.catalogue import find
from export.models.imagenet import locate
from export.samples import sample_images
from runtime.errors import CheckpointError, OptionError, UnknownModelError
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

IMAGES = torch.randn(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))


def torchvision_weights(classes: int = 5) -> dict[str, Tensor]:
    return torchvision.models.resnet18(num_classes=classes).state_dict()


@pytest.fixture
def saved(tmp_path):
    """Saves weights the way torch does, and returns the path as a person would type it."""

    def save(weights: object, name: str = "weights.pth") -> str:
        torch.save(weights, tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.mark.parametrize("name", ["resnet50", "cifar_resnet20"])
def test_a_plain_name_gives_seeded_random_weights_ready_for_inference(name: str) -> None:
    state = torch.get_rng_state()
    classifier = load(name)
    assert classifier.weights.origin == "random"
    assert classifier.weights.detail == "seed 0"
    assert classifier.weights.sha256 == load(name, LoadOptions(weights="random")).weights.sha256
    assert classifier.weights.sha256 != load(name, LoadOptions(seed=1)).weights.sha256
    assert classifier.image == find(name).image
    assert classifier.labels == ()
    assert not any(module.training for module in classifier.module.modules())
    for value in classifier.module.parameters():
        assert (value.dtype, value.device.type, value.requires_grad) == (
            torch.float32,
            "cpu",
            False,
        )
    assert torch.equal(torch.get_rng_state(), state)


def test_classes_and_channels_of_random_weights_are_what_is_asked_for() -> None:
    classifier = load("resnet18", LoadOptions(classes=7, channels=1))
    assert (classifier.classes, classifier.in_channels) == (7, 1)
    assert classifier.module(IMAGES[:, :1]).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "channels", "order", "mean"),
    [
        ("resnet18", 1, "L", (0.449,)),
        ("resnet18", 2, "planes", (0.449, 0.449)),
        ("resnet18", 3, "RGB", (0.485, 0.456, 0.406)),
        ("cifar_resnet20", 1, "L", (0.4734,)),
    ],
)
def test_other_channels_are_prepared_like_the_average_one(name, channels, order, mean) -> None:
    image = load(name, LoadOptions(channels=channels)).image
    assert (image.channels, image.mean) == (order, mean)


@pytest.mark.parametrize("classes", [1000, 5])
def test_a_torchvision_checkpoint_gives_the_numbers_of_torchvision(saved, classes: int) -> None:
    theirs = torchvision.models.resnet18(num_classes=classes).eval()
    ours = load("resnet18", LoadOptions(weights=saved(theirs.state_dict())))
    with torch.inference_mode():
        assert torch.equal(ours.module(IMAGES), theirs(IMAGES))
    assert ours.classes == classes
    assert (ours.weights.origin, ours.weights.detail) == ("file", "weights.pth")
    assert ours.labels == ()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(saved, dtype: torch.dtype) -> None:
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in torchvision_weights().items()
    }
    module = load("resnet18", LoadOptions(weights=saved(weights))).module
    assert torch.equal(module.state_dict()["fc.weight"], weights["fc.weight"].float())


def test_the_channels_are_those_of_the_checkpoint(saved) -> None:
    weights = torchvision_weights()
    weights["conv1.weight"] = weights["conv1.weight"][:, :1]
    classifier = load("resnet18", LoadOptions(weights=saved(weights)))
    assert classifier.in_channels == 1
    assert classifier.image.channels == "L"


def test_checkpoints_older_than_the_count_of_batches_load(saved) -> None:
    weights = torchvision_weights()
    old = {name: v for name, v in weights.items() if not name.endswith("num_batches_tracked")}
    new = load("resnet18", LoadOptions(weights=saved(weights, "new.pth")))
    assert load("resnet18", LoadOptions(weights=saved(old, "old.pth"))).weights.sha256 == (
        new.weights.sha256
    )


def test_the_hash_tells_apart_what_differs_in_one_value(saved) -> None:
    weights = torchvision_weights()
    first = load("resnet18", LoadOptions(weights=saved(weights))).weights.sha256
    weights["layer3.0.bn1.running_var"][17] += 1e-6
    assert load("resnet18", LoadOptions(weights=saved(weights))).weights.sha256 != first


def trained(folder: Path, **changes: object) -> str:
    weights = load("cifar_resnet20", LoadOptions(classes=2, channels=1)).module.state_dict()
    metadata = TrainedModel(
        model="cifar_resnet20",
        classes=2,
        labels=("sound", "cracked"),
        image=ImageSpec(resize=36, crop=32, mean=(0.5,), std=(0.25,), channels="L"),
        top1=97.5,
        notes={},
    )
    write_checkpoint(folder / "t.safetensors", weights, replace(metadata, **changes))
    return str(folder / "t.safetensors")


def test_a_checkpoint_of_this_project_brings_its_preprocessing_and_labels(tmp_path) -> None:
    classifier = load("cifar_resnet20", LoadOptions(weights=trained(tmp_path)))
    assert classifier.labels == ("sound", "cracked")
    assert classifier.image.resize == 36
    assert classifier.image.mean == (0.5,)


def test_metadata_that_does_not_fit_the_weights_is_refused(tmp_path) -> None:
    path = trained(tmp_path, classes=3, labels=())
    with pytest.raises(CheckpointError, match=r"tells of 3 classes and 1 channels.*have 2 and 1"):
        load("cifar_resnet20", LoadOptions(weights=path))


def test_what_a_person_says_of_preprocessing_and_labels_wins(tmp_path) -> None:
    (tmp_path / "labels.txt").write_text("\ufeffintakt\r\ndefekt, Riß\r\n", "utf-8")
    options = LoadOptions(
        weights=trained(tmp_path),
        labels=tmp_path / "labels.txt",
        resize=64,
        crop=48,
        mean=(0.1,),
        std=(0.2,),
        interpolation="bicubic",
    )
    classifier = load("cifar_resnet20", options)
    assert classifier.labels == ("intakt", "defekt, Riß")
    assert classifier.image == ImageSpec(
        resize=64, crop=48, mean=(0.1,), std=(0.2,), channels="L", interpolation="bicubic"
    )


def test_the_embedded_model_recognises_the_sample_digits() -> None:
    classifier = load("resnet20-digits")
    assert classifier.weights.origin == "embedded"
    assert classifier.weights.detail == "resnet20-digits.safetensors"
    assert (classifier.in_channels, classifier.classes) == (1, 10)
    assert classifier.labels == tuple("0123456789")
    samples = [open_image(path) for path in sample_images("digits")]
    images = np.stack([preprocess(image, classifier.image) for image in samples])
    assert classifier.module(torch.from_numpy(images)).argmax(dim=1).tolist() == list(range(10))


def test_the_name_of_the_embedded_model_takes_random_weights_too() -> None:
    classifier = load("resnet20-digits", LoadOptions(weights="random", classes=4))
    assert (classifier.weights.origin, classifier.classes, classifier.labels) == ("random", 4, ())


def test_one_mean_and_one_std_stand_for_all_channels() -> None:
    image = load("cifar_resnet20", LoadOptions(mean=(0.5,), std=(0.25,))).image
    assert (image.mean, image.std) == ((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mean": (0.5, 0.5)}, "given 2 means"),
        ({"std": (0.0,)}, "std > 0"),
        ({"crop": 300}, "crop 300 is larger than resize 256"),
        ({"resize": 0, "crop": 0}, "expected 1 to 8192"),
        ({"interpolation": "nearest"}, "expected one of bilinear, bicubic"),
        ({"labels": Path("missing.txt")}, "cannot read labels from 'missing.txt': No such file"),
        ({"labels": Path(__file__)}, "expected 1000, one label a class"),
        ({"labels": Path(torch.__file__).parent}, "Is a directory"),
    ],
)
def test_preprocessing_and_labels_that_cannot_work_are_refused(options, expected: str) -> None:
    with pytest.raises(OptionError) as raised:
        load("resnet18", LoadOptions(**options))
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_labels_that_are_no_text_are_refused(tmp_path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="it is not UTF-8 text"):
        load("resnet18", LoadOptions(labels=tmp_path / "labels.txt"))


@pytest.mark.parametrize(
    "numbers", [{"seed": -1}, {"classes": 0}, {"classes": 10**9}, {"channels": 0}]
)
def test_numbers_out_of_range_are_refused(numbers) -> None:
    with pytest.raises(OptionError, match=f"given {next(iter(numbers.values()))}; expected"):
        LoadOptions(**numbers)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": 10}, "classes: given 10, but the file weights (weights.pth) have 5"),
        ({"channels": 1}, "channels: given 1, but the file weights (weights.pth) have 3"),
    ],
)
def test_a_wrong_class_or_channel_count_names_both(saved, options, expected: str) -> None:
    with pytest.raises(CheckpointError) as raised:
        load("resnet18", LoadOptions(weights=saved(torchvision_weights()), **options))
    assert expected in str(raised.value)


def test_asking_for_what_the_weights_have_is_no_disagreement(saved) -> None:
    weights = saved(torchvision_weights())
    assert load("resnet18", LoadOptions(weights=weights, classes=5, channels=3)).classes == 5


def without_head(weights: dict[str, Tensor]) -> None:
    del weights["fc.weight"]


def with_more(weights: dict[str, Tensor]) -> None:
    weights["layer5.0.conv1.weight"] = torch.zeros(1)


def with_flat_head(weights: dict[str, Tensor]) -> None:
    weights["fc.weight"] = torch.zeros(512)


def with_integers(weights: dict[str, Tensor]) -> None:
    weights["layer1.0.conv1.weight"] = weights["layer1.0.conv1.weight"].to(torch.int8)


def with_nan(weights: dict[str, Tensor]) -> None:
    weights["layer2.1.bn2.bias"][3] = math.nan


def too_large_for_float32(weights: dict[str, Tensor]) -> None:
    weights["fc.bias"] = torch.full((5,), 1e300, dtype=torch.float64)


def with_endless_classes(weights: dict[str, Tensor]) -> None:
    weights["fc.weight"] = torch.zeros(1, 1).expand(10**12, 512)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (without_head, "are not those of resnet18: 'fc.weight' is missing"),
        (with_more, "'layer5.0.conv1.weight' is not part of it"),
        (with_flat_head, "'fc.weight' is 512 floating, expected 512x512 floating"),
        (with_integers, "is 64x64x3x3 integer, expected 64x64x3x3 floating"),
        (with_nan, "hold NaN or infinity in 'layer2.1.bn2.bias'"),
        (too_large_for_float32, "hold NaN or infinity in 'fc.bias'"),
        (with_endless_classes, "have 1000000000000 classes; expected 100000 at most"),
    ],
)
def test_weights_that_are_not_the_models_are_refused_in_one_line(saved, spoil, expected) -> None:
    weights = torchvision_weights()
    spoil(weights)
    with pytest.raises(CheckpointError) as raised:
        load("resnet18", LoadOptions(weights=saved(weights)))
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_weights_of_another_model_are_refused(saved) -> None:
    with pytest.raises(CheckpointError, match=r"not those of resnet34: 'layer1.2.conv1.weight'"):
        load("resnet34", LoadOptions(weights=saved(torchvision_weights())))


def test_weights_that_fit_two_families_load_by_the_name_that_is_chosen(saved) -> None:
    weights = saved(find("small_resnet18").build(classes=4, channels=1).state_dict())
    with pytest.raises(CheckpointError, match="fit two families: small_resnet18, and a resnet18"):
        load("auto", LoadOptions(weights=weights))
    classifier = load("small_resnet18", LoadOptions(weights=weights))
    assert (classifier.classes, classifier.in_channels) == (4, 1)


def test_weights_of_another_model_are_told_the_name_to_pass(saved) -> None:
    with pytest.raises(CheckpointError, match="they are nearest to resnet18: pass that name, or"):
        load("resnet50", LoadOptions(weights=saved(torchvision_weights())))


def test_an_unknown_model_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UnknownModelError, match="did you mean resnet18"):
        load("resnet81", LoadOptions(weights="missing.pth"))


def test_a_misspelt_source_of_weights_is_told_the_right_ones() -> None:
    with pytest.raises(CheckpointError, match=r"'imagnet': No such file.*random, imagenet"):
        load("resnet18", LoadOptions(weights="imagnet"))


def test_embedded_weights_of_a_model_that_has_none_are_refused() -> None:
    with pytest.raises(CheckpointError, match="no weights of resnet18 come with this package"):
        load("resnet18", LoadOptions(weights="embedded"))


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("cifar_resnet20", "imagenet", "expected random or a checkpoint file"),
        ("resnet18", "imagenet-v2", "expected imagenet or random or a checkpoint file"),
    ],
)
def test_imagenet_weights_that_were_never_published_are_refused(name, weights, expected) -> None:
    with pytest.raises(CheckpointError, match=f"no '{weights}' weights for {name}; {expected}"):
        load(name, LoadOptions(weights=weights))


@pytest.fixture
def hub(tmp_path):
    """An empty folder where torch looks for downloaded weights."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


def test_a_damaged_download_is_refused_by_its_hash(hub) -> None:
    (hub / "resnet18-f37072fd.pth").write_bytes(b"half of it")
    with pytest.raises(CheckpointError, match=r"resnet18-f37072fd.pth' is damaged.*f37072fd"):
        load("resnet18", LoadOptions(weights="imagenet"))


@pytest.fixture
def published(tmp_path):
    """Publishes weights as torchvision does, at a URL of this machine."""
    source = tmp_path / "server"
    source.mkdir()
    torch.save(torchvision_weights(), source / "weights")
    data = (source / "weights").read_bytes()
    (source / f"resnet18-{hashlib.sha256(data).hexdigest()[:8]}.pth").write_bytes(data)
    (source / "resnet18-00000000.pth").write_bytes(data)

    def publish(digest: str | None = None) -> Weights:
        digest = digest or hashlib.sha256(data).hexdigest()[:8]
        return Weights(
            url=(source / f"resnet18-{digest}.pth").as_uri(),
            transforms=partial(ImageClassification, crop_size=176, resize_size=232),
            meta={"categories": list("abcde")},
        )

    return publish


def test_published_weights_are_downloaded_once_with_their_preprocessing(
    tmp_path, published
) -> None:
    folder = tmp_path / "new" / "checkpoints"
    found = locate(published(), "R.V1", folder)
    assert [path.name for path in folder.iterdir()] == [found.path.name]
    assert (found.image.resize, found.image.crop) == (232, 176)
    assert found.labels == tuple("abcde")
    assert found.detail == f"R.V1, {found.path.name}"
    (tmp_path / "server" / found.path.name).unlink()
    assert locate(published(), "R.V1", folder) == found
    assert load("resnet18", LoadOptions(weights=str(found.path))).classes == 5


@pytest.mark.parametrize("digest", ["00000000", "ffffffff"], ids=["wrong hash", "not there"])
def test_a_download_that_fails_names_the_file_and_where_to_put_it(
    tmp_path, published, digest: str
) -> None:
    folder = tmp_path / "checkpoints"
    with pytest.raises(CheckpointError) as raised:
        locate(published(digest), "R.V1", folder)
    message = str(raised.value)
    assert f"resnet18-{digest}.pth" in message
    assert f"put it into '{folder}'" in message
    assert "\n" not in message
    assert list(folder.iterdir()) == []


def test_loading_says_nothing_on_its_own(saved, capfd) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("resnet18", LoadOptions(weights=saved(torchvision_weights())))
        load("resnet18", LoadOptions(classes=3, channels=2))
    assert capfd.readouterr() == ("", "")
