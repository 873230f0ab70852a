"""Asks for the packages of a server, which a device that only runs models does not have."""

from __future__ import annotations

from importlib.util import find_spec

from runtime.errors import BackendMissingError

__all__ = ["require_extra"]

_PACKAGES = ("starlette", "uvicorn", "prometheus_client", "python_multipart")


def require_extra() -> None:
    """Return if a server can be started.

    Raises:
        BackendMissingError: if a package of the extra `serve` is not installed.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise BackendMissingError(
                f"serve needs the package '{package}'. Run: pip install 'resnet-deploy[serve]'"
            )
