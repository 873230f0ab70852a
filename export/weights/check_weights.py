"""Looks at a weights file as far as that needs no PyTorch: is there one, and what can it be?"""

from __future__ import annotations

from pathlib import Path

from runtime.errors import CheckpointError

__all__ = ["WORDS", "check_weights", "check_weights_file"]

WORDS = ("", "random", "embedded", "imagenet", "imagenet-v2")
"""That stand for weights and are no file; "" for the model's own default. See
export.models.sources."""

_MAX_GIB = 16
"""A ResNet of 100,000 classes with its optimizer and an average takes 4: more is something else."""
_LFS = b"version https://git-lfs"


def check_weights(weights: str) -> None:
    """Return if the weights are one of WORDS or a file that can be read.

    Raises:
        CheckpointError: as `check_weights_file`.
    """
    if weights not in WORDS:
        check_weights_file(Path(weights))


def check_weights_file(path: Path) -> None:
    """Return if the file is there, can be read and may hold weights; its content is for others.

    Raises:
        CheckpointError: if not.
    """
    try:
        if not path.is_file() and path.exists():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise CheckpointError(f"'{path}' is {kind}; expected a .safetensors, .pth or .pt file")
        with path.open("rb") as file:
            size, start = path.stat().st_size, file.read(len(_LFS))
    except OSError as error:
        raise CheckpointError(
            f"cannot read weights from '{path}': {error.strerror}; "
            "expected random, imagenet, imagenet-v2 or a .safetensors, .pth or .pt file"
        ) from None
    if not start:
        raise CheckpointError(f"'{path}' is empty; copy or download it again")
    if start == _LFS:
        raise CheckpointError(
            f"'{path}' is a Git LFS pointer, not the weights it points to; run: git lfs pull"
        )
    if size > _MAX_GIB << 30:
        raise CheckpointError(
            f"'{path}' has {size / 2**30:.0f} GiB, more than a ResNet's weights can have "
            f"({_MAX_GIB}); expected a .safetensors, .pth or .pt file"
        )
