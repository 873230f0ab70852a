"""Where compiled code is kept between runs: a folder that this user alone can write to.

    $XDG_CACHE_HOME/resnet-deploy/engines/<SHA-256 of the model>/    ONNX Runtime's own engines
                                 /compiled/<SHA-256 of the plan>     what TensorRT-RTX compiled
                                 /timings/                           timings of kernels

All of it holds programs for the GPU and is run as it is found, so it lies in no bundle, which may
come from elsewhere, and in no folder that others can write to.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from runtime.errors import BackendError

__all__ = ["cache_folder"]


def cache_folder(*parts: str) -> Path:
    """Return a folder below the cache of this project, made if need be.

    Raises:
        BackendError: if it cannot be made, or others could write to it.
    """
    folder = _user_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("resnet-deploy", *parts):
            folder /= part
            folder.mkdir(exist_ok=True, mode=0o700)  # of one with parents, only the last has it
            _check_private(folder)
    except OSError as error:
        raise BackendError(
            f"cannot keep compiled code in '{folder}' ({error.strerror}); set XDG_CACHE_HOME to a "
            "folder of your own"
        ) from None
    return folder


def _user_cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the specification: a relative path is to be ignored
        return Path(given)
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    try:
        return Path.home() / ".cache"
    except RuntimeError:  # a container's user may be a number alone
        raise BackendError(
            "there is no home folder to keep compiled code in; set XDG_CACHE_HOME to a folder of "
            "your own"
        ) from None


def _check_private(folder: Path) -> None:
    if os.name != "posix":
        return
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BackendError(
            f"others can write to '{folder}', and what lies there is run. Run: chmod go-w, or set "
            "XDG_CACHE_HOME to a folder of your own"
        )
