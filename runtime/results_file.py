"""Files of results about a bundle lie beside it: a bundle stays as it was published."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from runtime.bundle import Bundle
from runtime.errors import BundleError, OptionError
from runtime.locking import replace
from runtime.schema import decode, parse_json

__all__ = [
    "check_results_file",
    "read_results",
    "refuse_within_bundle",
    "results_path",
    "write_results",
]

_Results = TypeVar("_Results")


def results_path(bundle: Path, kind: str) -> Path:
    """Return where results about a bundle lie unless told otherwise: BUNDLE.kind.json."""
    folder = bundle.resolve()
    return folder.with_name(f"{folder.name}.{kind}.json")


def check_results_file(output: Path) -> None:
    """Refuse before long work what could not be written after it.

    Raises:
        OptionError: if it is a folder or a device, or in no folder, or in a bundle.
    """
    refuse_within_bundle(output)
    # A device would be replaced by a file: /dev/stdout, for all that is started afterwards.
    if output.exists() and not output.is_file():
        what = "folder" if output.is_dir() else "device or pipe"
        raise OptionError(f"--output: '{output}' is a {what}; expected a file")
    if not output.parent.is_dir():
        raise OptionError(f"--output: there is no folder '{output.parent}'; make it first")


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


def read_results(path: Path, kind: type[_Results], version: int, command: str) -> _Results:
    """Return the results in a file.

    Args:
        path: of the file.
        kind: the dataclass that they are of.
        version: of the schema that this release reads.
        command: what makes such results: "bench BUNDLE".

    Raises:
        BundleError: if there are none that this version can read.
    """
    what, verb = kind.__name__.lower(), command.split()[0]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"cannot read the {what} '{path}': {error.strerror}; make it with: "
            f"python -m runtime {command}"
        ) from None
    document = parse_json(data, str(path))
    given = document.get("schema_version") if isinstance(document, dict) else None
    if given != version:
        raise BundleError(f"'{path}' is no {what} of schema version {version}; run {verb} again")
    return decode(kind, document, str(path))
