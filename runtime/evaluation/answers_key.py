"""Says which answers belong to a run: those of the same models to the same images."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from runtime.bundle import Bundle
from runtime.evaluation.dataset import Dataset

__all__ = ["answers_key"]


def answers_key(bundle: Bundle, dataset: Dataset, truths: bytes, runners: Mapping[str, str]) -> str:
    """Return the hash of all that the answers depend on.

    Args:
        bundle: whose models answer.
        dataset: the images.
        truths: their classes.
        runners: what runs each variant or engine, by its name.
    """
    manifest = bundle.manifest
    models = {name: manifest.files[manifest.model_files[name]].sha256 for name in runners}
    told = [
        models,
        dict(runners),
        dataclasses.asdict(manifest.image),
        manifest.pixels,
        manifest.labels,
        dataset.sha256(),
        [_stamp(example.path) for example in dataset.examples],
    ]
    return hashlib.sha256(json.dumps(told).encode() + truths).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and time of change, by which an image that was replaced is noticed."""
    try:
        status = os.stat(path)
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)
