import errno
import os

import pytest

from runtime.publishing.swap import exchange, replace_in_two_renames, swap


def make_folder(path, content):
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return path


def test_exchange_swaps_two_folders(tmp_path):
    one, other = make_folder(tmp_path / "one", "1"), make_folder(tmp_path / "other", "2")
    exchange(one, other)
    assert (one / "file").read_text() == "2"
    assert (other / "file").read_text() == "1"


def test_exchange_with_nothing_fails_and_changes_nothing(tmp_path):
    one = make_folder(tmp_path / "one", "1")
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "other")
    assert os.listdir(tmp_path) == ["one"]


@pytest.mark.parametrize("before", ["nothing", "empty", "full"])
def test_swap_takes_the_place_of(tmp_path, before):
    staged = make_folder(tmp_path / "staging" / "bundle", "new")
    target = tmp_path / "target"
    if before == "empty":
        target.mkdir()
    if before == "full":
        make_folder(target, "old")
    swap(staged, target)
    assert (target / "file").read_text() == "new"
    assert staged.exists() == (before == "full")  # what was there comes to lie in its place


def test_swap_refuses_a_file(tmp_path):
    staged = make_folder(tmp_path / "staging" / "bundle", "new")
    (tmp_path / "target").write_text("a file")
    with pytest.raises(NotADirectoryError):
        swap(staged, tmp_path / "target")
    assert (tmp_path / "target").read_text() == "a file"


def test_two_renames_do_the_same_where_folders_cannot_be_exchanged(tmp_path):
    staged = make_folder(tmp_path / "staging" / "bundle", "new")
    target = make_folder(tmp_path / "target", "old")
    replace_in_two_renames(staged, target)
    assert (target / "file").read_text() == "new"
    (aside,) = (tmp_path / "staging").iterdir()
    assert (aside / "file").read_text() == "old"


def test_two_renames_put_the_old_folder_back_when_the_second_fails(tmp_path):
    (tmp_path / "staging").mkdir()
    target = make_folder(tmp_path / "target", "old")
    with pytest.raises(OSError, match="No such file") as caught:
        replace_in_two_renames(tmp_path / "staging" / "bundle", target)
    assert caught.value.errno == errno.ENOENT
    assert (target / "file").read_text() == "old"
