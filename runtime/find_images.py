"""Finds image files in folders and by patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from runtime.errors import OptionError
from runtime.open_image import SUFFIX_FORMATS

__all__ = ["find_images", "walk_images"]


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the image files that files, folders and glob patterns stand for, in the given order.

    A folder stands for every image below it, by name; hidden files and folders are passed over and
    links to folders are not followed. A pattern stands for the images it matches and for those in
    the folders it matches; `**` crosses folders. Any other path stands for itself, whatever its
    ending and whether it exists or not: `open_image` says what is wrong with it.

    Raises:
        OptionError: if a folder or a pattern yields no image, or a folder cannot be read.
    """
    return [image for path in paths for image in _expand(os.fspath(path))]


def walk_images(folder: str) -> Iterator[Path]:
    """Return the images below a folder, by name, as they are found: see `find_images`.

    Raises:
        OptionError: if a folder cannot be read, whose images would be missing in silence.
    """
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from filter(_is_image, (Path(parent, name) for name in sorted(files)))


def _expand(path: str) -> Iterator[Path]:
    if os.path.isdir(path):
        found = list(walk_images(path))
    elif glob.has_magic(path) and not os.path.exists(path):
        found = []
        for match in sorted(glob.glob(path, recursive=True)):
            below = walk_images(match) if os.path.isdir(match) else [Path(match)]
            found += filter(_is_image, below)
        found = list(dict.fromkeys(found))  # `**` matches a folder and what is in it
    else:
        found = [Path(path)]
    if not found:
        aside = ", whose links to folders are not followed" if _links_to_folders(path) else ""
        raise OptionError(
            f"no images in '{path}'{aside}; expected files ending in {', '.join(SUFFIX_FORMATS)}"
        )
    yield from found


def _links_to_folders(path: str) -> bool:
    return os.path.isdir(path) and any(e.is_symlink() and e.is_dir() for e in Path(path).iterdir())


def _refuse_folder(error: OSError) -> NoReturn:
    raise OptionError(
        f"cannot read the folder '{error.filename}': {error.strerror}; make it readable, or move "
        "it elsewhere"
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIX_FORMATS and not path.name.startswith(".")
