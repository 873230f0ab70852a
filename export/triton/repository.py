"""Adds models to a Triton repository: what is there stays what it is, or nothing changes.

    REPOSITORY/NAME-VARIANT/config.pbtxt          for Triton
                            labels.txt            its class names, one a line
                            warmup/golden_N       raw inputs that it answers before it is ready
                            contract.json         for programs: what goes in, what comes out
                            README.md             the same for people
                            1/model.onnx          a version; the next export makes 2, and so on

The version's folder comes last, by one rename: Triton sees a whole model or none.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path

from export.triton.config import Served, ServeOptions, describe
from export.triton.contract import CONTRACT_FILE, Contract, make_contract, make_readme
from runtime.bundle import Bundle
from runtime.engines.open_engine import read_info
from runtime.errors import BundleError, OptionError
from runtime.locking import locked, replace
from runtime.manifest import FileInfo
from runtime.publishing.replace_file import refuse_within_bundle
from runtime.publishing.staging import staging
from runtime.schema import from_json, to_json

__all__ = ["Addition", "add_to_repository", "servable", "triton_name"]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
CONFIG_FILE = "config.pbtxt"


_LARGEST_VERSION = 2**63 - 1
"""Triton reads the folder's name as a number of 64 bits."""


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What became of one model."""

    name: str
    version: int
    folder: Path
    served: Served
    is_new: bool
    """False if this very model was the latest version already: nothing was written."""
    notes: tuple[str, ...] = ()


def triton_name(prefix: str, variant: str) -> str:
    """Return the name of a variant's model, or of all of them: one that Kubernetes takes, too.

    Raises:
        OptionError: if the prefix makes none.
    """
    name = f"{prefix}-{variant}".strip("-").lower().replace(".", "-").replace("_", "-")
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"name: given '{prefix}'; expected letters, digits and hyphens, such as resnet50; "
            "choose another --name"
        )
    return name


def servable(bundle: Bundle) -> tuple[str, ...]:
    """Return the variants and engines of a bundle that Triton can serve.

    Raises:
        BundleError: if the description of an engine was altered.
    """
    engines = [
        name
        for name, engine in bundle.manifest.engines.items()
        if read_info(bundle, engine).flavour == "tensorrt"
    ]
    return (*bundle.manifest.variants, *engines)


def add_to_repository(
    bundle: Bundle,
    variant: str,
    repository: Path,
    name: str,
    options: ServeOptions,
    version: int = 0,
) -> Addition:
    """Add a variant or an engine of a bundle to a repository, as a new version of its model.

    Args:
        bundle: where it is.
        variant: the name of a variant or engine.
        repository: the folder; made if need be.
        name: of the model in the repository.
        options: how Triton is to run it.
        version: its number; 0 for the next one.

    Raises:
        OptionError: if the version is there already or too large for Triton, or the repository
            lies in a bundle.
        BundleError: if something else than this model is there, a file of the bundle was altered,
            or the repository cannot be written.
    """
    refuse_within_bundle(repository)
    if version > _LARGEST_VERSION:
        raise OptionError(f"version: given {version}; expected {_LARGEST_VERSION:,} at most")
    served = describe(bundle, variant, name, options)
    contract = make_contract(bundle, variant, served)
    data = bundle.read(served.source)
    folder = repository / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            return _add(data, served, contract, folder, version)
    except OSError as error:
        raise BundleError(
            f"cannot write '{folder}': {error.strerror or error}; mend that, or choose another "
            "--repository"
        ) from None


def _add(data: bytes, served: Served, contract: Contract, folder: Path, version: int) -> Addition:
    before = _read_contract(folder)
    if before is not None:
        before.check_same(contract, folder)
    versions = dict(before.versions) if before is not None else {}
    latest = max((int(path.name) for path in folder.iterdir() if _is_version(path)), default=0)
    model = FileInfo.of(data)
    addition = Addition(
        name=folder.name, version=version or latest + 1, folder=folder, served=served, is_new=True
    )
    if not version and versions.get(str(latest)) == model.sha256:
        return with_changes(addition, version=latest, is_new=False)
    if (folder / str(addition.version)).exists():
        raise OptionError(
            f"'{folder}' has a version {addition.version}; leave --version out for the next one, "
            f"or choose one above {latest}"
        )
    versions[str(addition.version)] = model.sha256
    with staging(folder) as staged:
        (staged / "bundle" / served.file).write_bytes(data)
        notes = _write_around(folder, served, contract, before, versions)
        os.rename(staged / "bundle", folder / str(addition.version))
    return with_changes(addition, notes=notes)


def _write_around(
    folder: Path,
    served: Served,
    contract: Contract,
    before: Contract | None,
    versions: dict[str, str],
) -> tuple[str, ...]:
    """Write all but the model; a file that somebody edited is left alone, which is noted."""
    files = {CONFIG_FILE: served.config.encode(), **served.files}
    written = {path: FileInfo.of(data).sha256 for path, data in files.items()}
    notes = []
    for path, data in files.items():
        there = folder / path
        known = before.written.get(path) if before is not None else None
        if there.exists() and FileInfo.of(there.read_bytes()).sha256 not in (known, written[path]):
            notes.append(f"'{there}' was edited, and is left as it is")
            written[path] = known or ""
            continue
        there.parent.mkdir(exist_ok=True)
        replace(there, data)
    complete = with_changes(contract, versions=versions, written=written)
    replace(folder / CONTRACT_FILE, to_json(complete))
    replace(folder / "README.md", make_readme(folder.name, served, complete).encode())
    return tuple(notes)


def _read_contract(folder: Path) -> Contract | None:
    path = folder / CONTRACT_FILE
    if path.is_file():
        return from_json(Contract, path.read_bytes(), f"'{path}'")
    # What a killed export left behind is nobody's; anything else is somebody's.
    others = [each.name for each in folder.iterdir() if not each.name.startswith(".bundle-")]
    if others:
        raise BundleError(
            f"'{folder}' holds another model: '{sorted(others)[0]}' is not of this project; choose "
            "another --name"
        )
    return None


def _is_version(path: Path) -> bool:
    return path.is_dir() and path.name.isascii() and path.name.isdigit() and path.name[0] != "0"
