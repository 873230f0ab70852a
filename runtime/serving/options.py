"""What a server is told: how it batches, and what it takes of a client at most."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import OptionError

__all__ = ["BatchOptions", "Limits"]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How requests become batches.

    Raises:
        OptionError: if they cannot.
    """

    largest: int = 8
    """Images the model is given at once, at most."""
    queue: int = 64
    """Images that are accepted and not yet answered, at most; more are refused at once."""
    latency_budget_ms: float = 0.0
    """A batch that is not full is held back for more images as long as its oldest can still be
    answered within this time of its arrival; 0 holds nothing back."""

    def __post_init__(self) -> None:
        if not 1 <= self.largest <= self.queue:
            raise OptionError(
                f"given batch {self.largest}, queue {self.queue}; expected a batch of at least 1 "
                "and a queue that holds one"
            )
        if not 0 <= self.latency_budget_ms <= 60_000:
            raise OptionError(
                f"latency budget: given {self.latency_budget_ms:g} ms; expected 0 to 60000"
            )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client can make the server do at most.

    Raises:
        OptionError: if nothing could be asked within them.
    """

    body_mib: int = 64
    """Largest body of a request."""
    megapixels: int = 50
    """Largest image that is decoded, and largest batch of tensors, in 10^6 pixels."""
    seconds: float = 30.0
    """How long a request may take to arrive, and its answer to be taken."""

    def __post_init__(self) -> None:
        if not 1 <= self.body_mib <= 4096 or not 1 <= self.megapixels <= 89:
            raise OptionError(
                f"given a body of {self.body_mib} MiB, {self.megapixels} megapixels; expected 1 "
                "to 4096 and 1 to 89"
            )
        if not 0.1 <= self.seconds <= 3600:
            raise OptionError(f"time limit: given {self.seconds:g} s; expected 0.1 to 3600")

    @property
    def body_bytes(self) -> int:
        """Largest body in bytes."""
        return self.body_mib << 20

    @property
    def pixels(self) -> int:
        """Largest image in pixels."""
        return self.megapixels * 1_000_000
