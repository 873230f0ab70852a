import shutil
from pathlib import Path

import pytest
from PIL import Image

from runtime.errors import OptionError
from runtime.find_images import find_images, walk_images
from runtime.open_image import open_image


@pytest.fixture
def tree(tmp_path):
    for name in [
        "b.jpg",
        "a.PNG",
        "c/d/e.jpeg",
        "c/b.bmp",
        "notes.txt",
        ".hidden.jpg",
        ".git/x.jpg",
    ]:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(found, tree):
    return [path.relative_to(tree).as_posix() for path in found]


def test_folder_stands_for_the_images_below_it_in_order(tree):
    assert names(find_images([tree]), tree) == ["a.PNG", "b.jpg", "c/b.bmp", "c/d/e.jpeg"]


def test_a_folder_that_cannot_be_read_is_refused_not_passed_over(tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    for folder in (tmp_path, below):
        Image.new("L", (4, 4)).save(folder / "a.png")
    found = walk_images(str(tmp_path))
    assert next(found) == tmp_path / "a.png"
    shutil.rmtree(below)  # permissions would keep no administrator out
    with pytest.raises(OptionError, match=r"cannot read the folder '.*below': No such file"):
        next(found)


def test_folder_that_links_to_itself_is_searched_once(tree):
    (tree / "c" / "loop").symlink_to(tree)
    assert len(find_images([tree])) == 4


def test_folder_of_nothing_but_links_to_folders_says_that_they_are_not_followed(tree):
    (tree / "empty" / "link").symlink_to(tree / "c")
    with pytest.raises(OptionError, match="whose links to folders are not followed"):
        find_images([tree / "empty"])


def test_pattern_stands_for_the_images_it_matches(tree):
    assert names(find_images([f"{tree}/*.jpg"]), tree) == ["b.jpg"]
    assert names(find_images([f"{tree}/**/b.*"]), tree) == ["b.jpg", "c/b.bmp"]
    assert names(find_images([f"{tree}/?"]), tree) == ["c/b.bmp", "c/d/e.jpeg"]
    assert names(find_images([f"{tree}/**"]), tree) == ["a.PNG", "b.jpg", "c/b.bmp", "c/d/e.jpeg"]


def test_existing_file_is_no_pattern_whatever_its_name(tree):
    odd = tree / "photo[1].jpg"
    odd.touch()
    assert find_images([odd]) == [odd]


def test_files_stand_for_themselves_in_the_given_order(tree):
    given = [tree / "notes.txt", tree / "absent.jpg", tree / "b.jpg"]
    assert find_images(map(str, given)) == given


@pytest.mark.parametrize("nothing", ["empty", "*.tiff", "c/*.txt"])
def test_folder_or_pattern_without_images_is_refused(nothing, tree):
    with pytest.raises(OptionError, match=r"no images in '.*'; expected files ending in \.jpg, "):
        find_images([tree / "b.jpg", tree / nothing])


def test_samples_of_the_project_are_found_and_open():
    samples = Path(__file__).parents[2] / "export" / "samples" / "photographs"
    found = find_images([samples])
    assert [path.name for path in found] == ["china.jpg", "flower.jpg"]
    assert {open_image(path).size for path in found} == {(640, 427)}
