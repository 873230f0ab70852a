"""Reads the token that lets a client in: never from the command line, which everybody can list."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import OptionError
from runtime.read_file import read_file

__all__ = ["read_token"]

TOKEN_VARIABLE = "RESNET_DEPLOY_TOKEN"


def read_token(file: Path | None) -> str:
    """Return the token in a file, or in the environment; "" where neither is.

    Raises:
        OptionError: if the file cannot be read, or holds no token that a header can carry.
    """
    if file is None:
        given, where = os.environ.get(TOKEN_VARIABLE, ""), f"${TOKEN_VARIABLE}"
        if not given:
            return ""
    else:
        where = f"'{file}'"
        try:
            given = read_file(file).decode("utf-8").strip()
        except OSError as error:
            raise OptionError(f"cannot read the token in {where}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise OptionError(f"the token in {where} is no text; write one of letters") from None
    if not given.isascii() or not given.isprintable() or " " in given or not given:
        raise OptionError(f"the token in {where} is empty or no plain word; write one of letters")
    return given
