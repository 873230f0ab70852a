"""The exceptions of the project.

    DeployError                  one clear line for a person; exit status 2
    ├── OptionError              an argument or option that cannot work
    │   └── UnknownModelError    no model of that name; names the nearest ones
    ├── CheckpointError          weights that are missing, unreadable, unsafe or of another model
    ├── ImageError               an image that cannot or must not be read
    ├── TraceError               PyTorch could not export the model as it was asked to
    ├── BundleError              a deployment folder that is incomplete, altered or unwritable
    ├── RequestError             a request to a server that gets no answer; knows its HTTP status
    ├── BackendError             a backend that cannot run the model
    │   ├── BackendMissingError  the library is not installed; says what to install
    │   ├── EngineError          a TensorRT engine that cannot be built, loaded or run
    │   │   └── EngineMemoryError    there was too little memory to build it
    │   └── ProviderError        the requested execution provider is not what would run
    └── VerdictError             everything ran, and the answer is no; exit status 1

Foreign exceptions are translated where they arise: a caller of this project never has to catch
another library's types. A message says what was given, what was expected, and what to do.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BackendError",
    "BackendMissingError",
    "BundleError",
    "CheckpointError",
    "DeployError",
    "EngineError",
    "EngineMemoryError",
    "ImageError",
    "OptionError",
    "ProviderError",
    "RequestError",
    "TraceError",
    "UnknownModelError",
    "VerdictError",
]


class DeployError(Exception):
    """Something the person can mend; the message is one line."""

    exit_status: ClassVar[int] = 2


class OptionError(DeployError):
    """An argument or option that cannot work."""


class UnknownModelError(OptionError):
    """No model has the given name."""


class CheckpointError(DeployError):
    """Weights that are missing, unreadable, unsafe, or that belong to another model."""


class ImageError(DeployError):
    """An image that cannot be read, or that must not be."""


class TraceError(DeployError):
    """The model could not be exported the way it was asked for."""


class BundleError(DeployError):
    """A deployment folder that is incomplete, altered or hostile, or that cannot be written."""


class RequestError(DeployError):
    """A request to a server that gets no answer; its HTTP status says whose fault that is."""

    def __init__(self, status: int, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        """When it is worth asking again; 0 if never."""


class BackendError(DeployError):
    """A backend that cannot run the model."""


class BackendMissingError(BackendError):
    """The library of a backend is not installed."""


class EngineError(BackendError):
    """A TensorRT engine that cannot be built, that does not belong here, or that failed to run."""


class EngineMemoryError(EngineError):
    """An engine that could not be built for lack of memory: a smaller workspace may do."""


class ProviderError(BackendError):
    """The requested execution provider is not the one that would run."""


class VerdictError(DeployError):
    """Everything ran to the end, and the answer is no."""

    exit_status: ClassVar[int] = 1
