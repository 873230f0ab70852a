"""From a folder of scans to a checkpoint that is loaded as the exporter loads it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from export.checkpoint import read_checkpoint, write_checkpoint
from export.load import load
from export.load_options import LoadOptions
from export.models.catalogue import find
from export.training.find_data import find_data
from export.training.finetune import finetune
from export.training.recipes import Pace
from export.training.show import show_outcome
from export.training.split import Shares
from runtime.errors import CheckpointError, OptionError
from runtime.open_image import load_image
from runtime.terminal import Screen

QUIET = Screen(quiet=True)


@pytest.fixture(scope="module")
def learning(order, tmp_path_factory):
    """Long enough to learn something: eight epochs of seven steps."""
    output = tmp_path_factory.mktemp("learning")
    return replace(
        order, output=output, pace=Pace(batch=12, rate=0.05), epochs=8, augment="none", test=True
    )


@pytest.fixture(scope="module")
def outcome(learning):
    return finetune(learning, QUIET)


def test_the_best_epoch_has_learnt_the_digits(outcome):
    assert outcome.best.val_accuracy == max(epoch.val_accuracy for epoch in outcome.history)
    assert outcome.best.val_accuracy > 80
    assert outcome.test.accuracy > 80


def test_the_checkpoint_loads_as_the_exporter_loads_it_and_is_as_good_as_it_says(
    outcome, learning, scans
):
    classifier = load("cifar_resnet20", LoadOptions(weights=str(outcome.checkpoint)))
    assert classifier.labels == ("0", "1", "2")
    test = find_data(scans, Shares(), 0).test
    images = np.stack([load_image(image.path, classifier.image) for image in test])
    with torch.inference_mode():
        answers = classifier.module(torch.from_numpy(images)).argmax(dim=1).numpy()
    top1 = 100 * (answers == [image.label for image in test]).mean()
    assert outcome.test.accuracy == pytest.approx(top1)
    assert read_checkpoint(outcome.checkpoint).metadata.top1 == round(top1, 2)


def test_the_checkpoint_tells_how_it_was_made(outcome, scans):
    metadata = read_checkpoint(outcome.checkpoint).metadata
    train = find_data(scans, Shares(), 0).train
    pixels = np.stack(
        [
            load_image(image.path, replace(metadata.image, mean=(0.0,), std=(1.0,)))
            for image in train
        ]
    )
    assert metadata.image.mean == (round(float(pixels.mean(dtype=np.float64)), 4),)
    assert metadata.image.std == (round(float(pixels.std(dtype=np.float64)), 4),)
    assert (metadata.image.resize, metadata.image.crop, metadata.image.channels) == (10, 8, "L")
    assert metadata.model == "cifar_resnet20"
    notes = metadata.notes
    assert notes["images"] == "84 train, 18 val, 18 test; of train 28 0, 28 1, 28 2"
    assert "by file name, seed 0" in notes["data"]
    assert "scratch; learning rates" in notes["recipe"]
    assert "seed 0" in notes["options"]
    assert f"{outcome.best.epoch} of 8" in notes["epoch"]
    assert "of 18 test images, 95 % interval" in notes["top1"]


def test_what_is_done_is_not_done_again(outcome, learning):
    before = (learning.output / "state.pt").stat().st_mtime_ns
    again = finetune(replace(learning, test=False), QUIET)
    assert (learning.output / "state.pt").stat().st_mtime_ns == before
    assert (again.history, again.best, again.test) == (outcome.history, outcome.best, None)


def test_the_outcome_is_shown_to_people_and_machines(outcome, capsys):
    show_outcome(outcome, Screen())
    text = capsys.readouterr().out
    low, high = outcome.test.interval
    assert f"test: {outcome.test.accuracy:.2f} % of 18 images" in text
    assert f"interval {low:.1f} to {high:.1f}" in text
    assert f"python -m export auto --weights {outcome.checkpoint} --onnx" in text
    show_outcome(outcome, Screen(json=True))
    document = json.loads(capsys.readouterr().out)
    assert document["test"]["images"] == {"0": 6, "1": 6, "2": 6}
    assert len(document["history"]) == 8


def test_before_the_test_images_are_asked_top1_is_of_validation(order, tmp_path):
    outcome = finetune(replace(order, output=tmp_path, epochs=1), QUIET)
    metadata = read_checkpoint(outcome.checkpoint).metadata
    assert metadata.top1 == round(outcome.best.val_accuracy, 2)
    assert "validation images, by which the epoch was chosen" in metadata.notes["top1"]


def test_equal_orders_make_equal_files(order, tmp_path):
    files = []
    for name in ("one", "other"):
        finetune(replace(order, output=tmp_path / name, epochs=1), QUIET)
        files.append((tmp_path / name / "best.safetensors").read_bytes())
    assert files[0] == files[1]


def test_a_balanced_loss_weighs_every_class_alike(order, scans, tmp_path):
    for number, image in enumerate(sorted((scans / "0").iterdir())):
        label = "rare" if number < 8 else "frequent"
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / label / image.name).write_bytes(image.read_bytes())
    uneven = replace(
        order, data=tmp_path / "data", epochs=1, label_smoothing=0.0, pace=Pace(batch=10, rate=1e-9)
    )
    losses = {
        balance: finetune(replace(uneven, output=tmp_path / str(balance), balance=balance), QUIET)
        .history[0]
        .loss
        for balance in (False, True)
    }
    assert losses[False] != losses[True]


def test_threads_and_determinism_are_as_before_afterwards(order, tmp_path):
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    finetune(replace(order, output=tmp_path, epochs=1), QUIET)
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_progress_is_one_line_an_epoch_where_there_is_no_terminal(order, tmp_path, capsys):
    finetune(replace(order, output=tmp_path, epochs=2), Screen())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines if "left" in line] == ["epoch 1/2", "epoch 2/2"]
    assert "\x1b" not in "".join(lines)
    assert any("arithmetic: float32, 1 threads" in line for line in lines)


def test_a_change_of_threads_is_told_when_a_training_goes_on(order, tmp_path, capsys):
    one = replace(order, output=tmp_path, epochs=1, schedule="cosine")
    finetune(one, QUIET)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    there = state["surroundings"] | {"threads": "64"}
    torch.save(state | {"step": 0, "history": [], "surroundings": there}, tmp_path / "state.pt")
    finetune(one, Screen())
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "threads: 1 now, 64 when it began; the result differs in its last bits" in warnings[0]


def test_trained_weights_with_a_small_batch_keep_their_statistics_and_say_so(
    order, tmp_path, capsys
):
    tuned = replace(
        order,
        model="resnet20-digits",
        weights="embedded",
        recipe="discriminative",
        pace=Pace(batch=16),
        epochs=1,
        output=tmp_path,
    )
    finetune(tuned, Screen())
    assert "batch norm keeps its statistics: a batch has but 16 images" in capsys.readouterr().err
    kept = read_checkpoint(tmp_path / "best.safetensors").weights
    before = load("resnet20-digits").module.state_dict()
    assert torch.equal(kept["layer2.1.bn1.running_mean"], before["layer2.1.bn1.running_mean"])
    assert not torch.equal(kept["layer2.1.conv1.weight"], before["layer2.1.conv1.weight"])


def test_random_weights_with_a_small_batch_learn_the_last_epochs_as_inference_will_run(
    order, tmp_path, capsys
):
    finetune(replace(order, pace=Pace(batch=12), epochs=3, output=tmp_path), Screen())
    said = capsys.readouterr().err
    assert "batch norm keeps its statistics from epoch 3 on: a batch has but 12 images" in said
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["module"]["bn1.num_batches_tracked"] * 3 == state["step"] * 2


def test_a_large_batch_learns_its_statistics_to_the_end(order, tmp_path, capsys):
    finetune(replace(order, pace=Pace(batch=20), epochs=3, output=tmp_path), Screen())
    assert "batch norm" not in capsys.readouterr().err
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["module"]["bn1.num_batches_tracked"] == state["step"]


def test_a_test_without_test_images_is_refused_before_the_training(order, tmp_path):
    with pytest.raises(OptionError, match="there are no test images; leave --test out"):
        finetune(replace(order, output=tmp_path, shares=Shares(test=0.0), test=True), QUIET)


def test_a_batch_larger_than_the_data_is_refused_before_the_training(order, tmp_path):
    with pytest.raises(OptionError, match="batch: given 85; expected at most 84"):
        finetune(replace(order, output=tmp_path / "x", pace=Pace(batch=85)), QUIET)
    assert not (tmp_path / "x").exists()


def test_a_checkpoint_of_other_classes_is_not_judged(order, tmp_path):
    output = tmp_path / "output"
    finetune(replace(order, output=output, epochs=1), QUIET)
    other = load("resnet20-digits")
    assert other.labels != ("0", "1", "2")
    source = read_checkpoint(output / "best.safetensors")
    renamed = replace(source.metadata, labels=("a", "b", "c"))
    write_checkpoint(output / "best.safetensors", source.weights, renamed)
    with pytest.raises(CheckpointError, match="does not name the classes 0, 1, 2"):
        finetune(replace(order, output=output, epochs=1, test=True), QUIET)


def test_rgb_weights_learn_grey_images_behind_an_adapter(order, tmp_path):
    path = tmp_path / "rgb.pth"
    torch.save(find("cifar_resnet20").build(classes=10, channels=3).state_dict(), path)
    tuned = replace(
        order,
        model="auto",
        weights=str(path),
        from_rgb="adapter",
        recipe="freeze",
        schedule="cosine",
        pace=Pace(batch=40, stage_epochs=1),
        epochs=1,
        output=tmp_path / "output",
    )
    outcome = finetune(tuned, QUIET)
    classifier = load("auto", LoadOptions(weights=str(outcome.checkpoint)))
    assert (classifier.name, classifier.in_channels, classifier.image.channels) == (
        "cifar_resnet20",
        1,
        "L",
    )
    weights = read_checkpoint(outcome.checkpoint).weights
    assert not torch.equal(weights["adapter.weight"], torch.full((3, 1, 1, 1), 1.0))
    assert torch.equal(weights["conv1.weight"], torch.load(path, weights_only=True)["conv1.weight"])
