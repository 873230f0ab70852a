"""Adds files to a bundle: it appears anew, with them, at once or not at all."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.locking import locked
from runtime.manifest import Engine, FileInfo, Manifest
from runtime.publishing.publish import publish

__all__ = ["add_to_bundle"]


def add_to_bundle(
    folder: Path,
    files: Mapping[str, bytes],
    engines: Mapping[str, Engine],
    without: Collection[str] = (),
) -> Bundle:
    """Publish the bundle in the folder with more files, or others of the same paths.

    What others add at the same time is kept.

    Args:
        folder: of the bundle.
        files: by path with forward slashes.
        engines: those among the files, by a name that no variant has.
        without: paths to leave out, and with them the variants whose file is among them.

    Raises:
        BundleError: if a file of the bundle was altered, or the folder cannot be written; it is
            then what it was.
    """
    with locked(Path(os.path.realpath(folder)).parent):
        bundle = Bundle.load(folder)  # afresh: another build may have added its own meanwhile
        kept = {
            path: bundle.folder / path
            for path in bundle.manifest.files
            if path not in files and path not in without
        }

        def describe(listed: dict[str, FileInfo]) -> Manifest:
            for path in kept:
                if listed[path] != bundle.manifest.files[path]:
                    raise BundleError(f"'{folder / path}' was altered; copy or export it again")
            together = {**bundle.manifest.engines, **engines}
            variants = {
                name: variant
                for name, variant in bundle.manifest.variants.items()
                if variant.file not in without
            }
            return dataclasses.replace(
                bundle.manifest, variants=variants, engines=together, files=listed
            )

        return publish(folder, {**kept, **files}, describe)
