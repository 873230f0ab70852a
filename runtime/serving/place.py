"""Place: where a server is found, and who is let in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from runtime.terminal import Screen

__all__ = ["Place", "warn_of_strangers"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server is found, and by whom."""

    host: str
    port: int
    token: str = field(default="", repr=False)
    """What a client has to send; "" lets everybody in."""


def warn_of_strangers(place: Place, screen: Screen) -> None:
    """Say it if others than this machine's users are let in unasked."""
    if not place.token and not _is_loopback(place.host):
        screen.warn(
            f"anyone who reaches {place.host} can use this server; --token-file lets in who knows "
            "the token"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
