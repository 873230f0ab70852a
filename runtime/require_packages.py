"""Says in one line what to install, where only a part of the project's packages is at hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from runtime.errors import BackendMissingError

__all__ = ["require_packages"]


def require_packages(needer: str, packages: Sequence[str], extra: str) -> None:
    """Return if all the packages can be imported; none of them is.

    Args:
        needer: what cannot go on without them, for the message.
        packages: the names they are imported by.
        extra: of this project, which they come with.

    Raises:
        BackendMissingError: naming the first that is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise BackendMissingError(
                f"{needer} needs the package '{package}'. Run: pip install 'resnet-deploy[{extra}]'"
            )
