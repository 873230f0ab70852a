"""Files of results about a bundle lie beside it: a bundle stays as it was published."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import BundleError, OptionError
from runtime.locking import replace

__all__ = ["check_results_file", "results_path", "write_results"]


def results_path(bundle: Path, kind: str) -> Path:
    """Return where results about a bundle lie unless told otherwise: BUNDLE.kind.json."""
    folder = bundle.resolve()
    return folder.with_name(f"{folder.name}.{kind}.json")


def check_results_file(output: Path) -> None:
    """Refuse before long work what could not be written after it.

    Raises:
        OptionError: if it is a folder, or in none.
    """
    if output.is_dir():
        raise OptionError(f"--output: '{output}' is a folder; expected a file")
    if not output.parent.is_dir():
        raise OptionError(f"--output: there is no folder '{output.parent}'; make it first")


def write_results(output: Path, data: bytes) -> None:
    """Write the file whole or not at all.

    Raises:
        BundleError: if it cannot be written.
    """
    try:
        replace(output, data)
    except OSError as error:
        raise BundleError(
            f"cannot write '{output}': {error.strerror}; choose another --output"
        ) from None
