"""Finds pyarrow, or says how to install it."""

from __future__ import annotations

from runtime.errors import BackendMissingError

__all__ = ["check_arrow"]


def check_arrow() -> None:
    """Return if parquet files can be read and written.

    Raises:
        BackendMissingError: if pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 (whether it can be imported is the question)
    except ImportError as error:
        raise BackendMissingError(
            f"scoring needs the package 'pyarrow' ({error}). "
            "Run: pip install 'resnet-deploy[scale]'"
        ) from None
