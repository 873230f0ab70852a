"""Files of results about a bundle lie beside it: a bundle stays as it was published."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from runtime.errors import BundleError
from runtime.read_file import read_file
from runtime.schema import decode, parse_json

__all__ = ["read_results", "results_path"]

_Results = TypeVar("_Results")


def results_path(bundle: Path, kind: str) -> Path:
    """Return where results about a bundle lie unless told otherwise: BUNDLE.kind.json."""
    folder = bundle.resolve()
    return folder.with_name(f"{folder.name}.{kind}.json")


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
        data = read_file(path)
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
