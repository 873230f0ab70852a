import os
from pathlib import Path

import pytest
import torch

from export.models.catalogue import find
from export.training.save_point import SavePoint
from export.training.schedule import schedule
from export.training.state import EpochRecord, State
from runtime.errors import CheckpointError, OptionError

KEY = {"batch": "32", "seed": "0"}
RECORD = EpochRecord(epoch=1, loss=0.5, accuracy=70.0, val_loss=0.6, val_accuracy=65.0)


def new_state(seed: int) -> State:
    torch.manual_seed(seed)
    module = find("cifar_resnet20").build(classes=2, channels=1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    return State(module=module, optimizer=optimizer, schedule=schedule("steps", optimizer, 10))


def save_point(path: Path, **changes) -> SavePoint:
    return SavePoint(path=path, **{"key": KEY, "surroundings": {"torch": "2"}, **changes})


def test_what_was_saved_is_taken_up_to_the_bit(tmp_path):
    saved = new_state(0)
    saved.step, saved.loss, saved.right, saved.history = 7, 0.1 + 0.2, 40, [RECORD]
    save_point(tmp_path / "new" / "state.pt").save(saved)
    state = new_state(1)
    assert save_point(tmp_path / "new" / "state.pt").take_up(state) == {"torch": "2"}
    assert (state.step, state.loss, state.right, state.history) == (7, 0.1 + 0.2, 40, [RECORD])
    expected = saved.module.state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in state.module.state_dict().items())
    assert os.listdir(tmp_path / "new") == ["state.pt"]


def test_where_nothing_was_saved_nothing_changes(tmp_path):
    state = new_state(0)
    assert save_point(tmp_path / "state.pt").take_up(state) is None
    assert state.step == 0


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"batch": "64", "seed": "0"}, "batch is 64 now, was 32"),
        ({"batch": "32"}, "seed is not given now, was 0"),
        ({**KEY, "new": "1"}, "new is 1 now, was not given"),
    ],
)
def test_the_state_of_another_training_is_not_taken_up(tmp_path, key, message):
    path = tmp_path / "state.pt"
    save_point(path).save(new_state(0))
    with pytest.raises(OptionError, match=f"{message}; remove '.*state.pt' to begin anew"):
        save_point(path, key=key).take_up(new_state(1))


@pytest.mark.parametrize("content", [b"", b"not a state", "half"])
def test_a_damaged_state_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "state.pt"
    save_point(path).save(new_state(0))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if content == "half" else content)
    with pytest.raises(CheckpointError, match=r"is damaged.*remove") as caught:
        save_point(path).take_up(new_state(1))
    assert "\n" not in str(caught.value)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="is damaged"):
        save_point(path).take_up(new_state(0))


def test_a_pickle_that_would_run_code_does_not_run_it(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"key": KEY, "module": os.getcwd}, path)
    with pytest.raises(CheckpointError, match="is damaged"):
        save_point(path).take_up(new_state(0))


def test_it_is_saved_when_time_has_passed_and_not_before(tmp_path):
    now = [0.0]
    kept = save_point(tmp_path / "state.pt", seconds=60.0, clock=lambda: now[0])
    state = new_state(0)
    for seconds, saves in ((59, 0), (60, 1), (119, 1), (120, 2)):
        now[0] = seconds
        kept.save_if_due(state)
        assert kept.saves == saves


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot save the training to"):
        save_point(blocked / "state.pt").save(new_state(0))
    (tmp_path / "state.pt").mkdir()
    with pytest.raises(CheckpointError, match="cannot save the training to"):
        save_point(tmp_path / "state.pt").save(new_state(0))
    assert sorted(os.listdir(tmp_path)) == ["file", "state.pt"]
