"""Makes a wheel of this project as it is installed here, for a device that has no way to fetch one.

Zipped by hand, because the installed project has no sources to build from: a wheel is its packages,
its metadata and a list of hashes. The same installation gives the same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

__all__ = ["make_wheel"]

PROJECT = "resnet-deploy"
PACKAGES = ("calibration", "export", "runtime")

_WHEEL = b"Wheel-Version: 1.0\nGenerator: resnet-deploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date a zip file can hold."""


def make_wheel() -> tuple[str, bytes]:
    """Return the name of the wheel file, and the file."""
    project = distribution(PROJECT)
    stem = f"{PROJECT.replace('-', '_')}-{project.version}"
    info = f"{stem}.dist-info"
    files = dict(_package_files())
    files[f"{info}/METADATA"] = (project.read_text("METADATA") or "").encode()
    files[f"{info}/WHEEL"] = _WHEEL
    files |= {f"{info}/{path}": data for path, data in _licenses(project)}
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return f"{stem}-py3-none-any.whl", wheel.getvalue()


def _package_files() -> Iterator[tuple[str, bytes]]:
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None  # this module is in one of them, and they are installed together
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                yield f"{name}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _licenses(project: Distribution) -> Iterator[tuple[str, bytes]]:
    for path in project.files or ():
        if "licenses" in path.parts:
            yield f"licenses/{path.name}", path.read_binary()


def _record(files: dict[str, bytes], own: str) -> bytes:
    """Return the list of the wheel's files with their hashes, but for its own."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        table.writerow((path, f"sha256={digest}", len(data)))
    table.writerow((own, "", ""))
    return text.getvalue().encode()
