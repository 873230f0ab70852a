"""Writes a file so that it is wholly the old one or wholly the new one, whenever it is killed."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import BundleError, OptionError
from runtime.publishing.staging import staging

__all__ = ["check_replaceable", "refuse_within_bundle", "replace_file"]


def check_replaceable(path: Path) -> None:
    """Return if the file could be written now: for asking before long work.

    Raises:
        BundleError: if it cannot be written.
        OptionError: if it would lie in a bundle.
    """
    refuse_within_bundle(path)
    # A device would be replaced by a file: /dev/stdout, for all that is started afterwards.
    if path.exists() and not path.is_file():
        what = "folder" if path.is_dir() else "device or pipe"
        raise BundleError(f"cannot write '{path}': it is a {what}; name a file")
    for parent in path.parents:
        if parent.is_file():
            raise BundleError(f"cannot write '{path}': '{parent}' is a file, not a folder")
    try:
        with staging(path.parent):
            pass
    except OSError as error:
        raise _refusal(path, error) from None


def replace_file(path: Path, data: bytes) -> None:
    """Make the file hold the bytes; folders above it are made if need be.

    Raises:
        BundleError: if it cannot be written.
    """
    check_replaceable(path)
    try:
        with staging(path.parent) as folder:
            staged = folder / path.name
            with open(staged, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(staged, path)
    except OSError as error:
        raise _refusal(path, error) from None


def refuse_within_bundle(path: Path) -> None:
    """Refuse what would lie in a bundle, which were then no longer what was published.

    Raises:
        OptionError: if it would.
    """
    resolved = path.resolve()
    for folder in (resolved, *resolved.parents):
        try:
            Bundle.load(folder)
        except BundleError:
            continue
        raise OptionError(
            f"'{path}' would lie in the bundle '{folder}', which would no longer verify; "
            "name one outside of it"
        )


def _refusal(path: Path, error: OSError) -> BundleError:
    reason = error.strerror or error
    return BundleError(f"cannot write '{path}': {reason}; mend that, or choose another place")
