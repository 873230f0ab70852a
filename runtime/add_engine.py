"""Adds an engine to a bundle: the bundle appears anew, with the engine, at once or not at all."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from runtime.bundle import Bundle
from runtime.engine import EngineInfo
from runtime.errors import BundleError
from runtime.locking import locked
from runtime.manifest import Engine, FileInfo, Manifest
from runtime.publish import publish
from runtime.schema import to_json

__all__ = ["add_engine"]


def add_engine(folder: Path, name: str, engine: Engine, plan: bytes, info: EngineInfo) -> Bundle:
    """Publish the bundle in the folder with one engine more, or another of that name.

    Engines that others add at the same time are kept.

    Args:
        folder: of the bundle.
        name: of the engine, which no variant has.
        engine: where it goes, and whose it is.
        plan: what TensorRT serialized.
        info: its description.

    Raises:
        BundleError: if a file of the bundle was altered, or the folder cannot be written; it is
            then what it was.
    """
    with locked(Path(os.path.realpath(folder)).parent):
        bundle = Bundle.load(folder)  # afresh: another build may have added its own meanwhile
        kept = {path: bundle.folder / path for path in bundle.manifest.files}
        added = {engine.file: plan, engine.info_file: to_json(info)}

        def describe(listed: dict[str, FileInfo]) -> Manifest:
            for path in kept.keys() - added.keys():
                if listed[path] != bundle.manifest.files[path]:
                    raise BundleError(f"'{folder / path}' was altered; copy or export it again")
            engines = {**bundle.manifest.engines, name: engine}
            return dataclasses.replace(bundle.manifest, engines=engines, files=listed)

        return publish(folder, {**kept, **added}, describe)
