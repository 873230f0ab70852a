"""Which TensorRT this process uses, and the one logger it gives it.

NVIDIA publishes two libraries with one Python interface: `tensorrt` (10.3 on JetPack 6, 11.x today)
and `tensorrt_rtx` (1.x, for RTX cards; builds without a GPU). Their version numbers do not compare,
so flavour and version always travel together, and where they differ the loaded module is asked what
it has: between 10 and 11 even the integers behind the enums moved.

The local name for the module is `trt` wherever it is used: the contract tests check every `trt.`
and all that follows from it against the bindings of four releases.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import BackendMissingError, EngineError, OptionError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["EXTRAS", "TensorRt", "load_tensorrt"]

EXTRAS = {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}
"""The flavours, by the module's name, and the extra of this project that installs each."""

OLDEST_TENSORRT = (10, 3)
"""JetPack 6; the oldest that takes strongly typed networks with quantized convolutions."""

T = TypeVar("T")

_log = logging.getLogger(__name__)

# " In compileGraph at /_src/optimizer/myelin/codeGenerator.cpp:2012": a place in NVIDIA's sources.
_SOURCE_PLACE = re.compile(r"\s*In \w+ at /\S+:\d+")


@dataclass(frozen=True)
class TensorRt:
    """A loaded TensorRT library."""

    flavour: str
    """ "tensorrt" or "tensorrt_rtx"."""
    version: str
    """As the library itself states it: "10.3.0", "1.7.1.116"."""
    module: ModuleType
    logger: tensorrt.ILogger
    """The process's only one: TensorRT keeps the first it is given and ignores any other."""
    errors: list[str]
    """What the logger was told as errors, a line each."""

    def take_errors(self) -> str:
        """Return, on one line, the errors since the last call, and forget them."""
        errors = list(dict.fromkeys(self.errors))
        self.errors.clear()
        return "; ".join(errors) or "it gave no reason"

    def member(self, enum: type[T], name: str) -> T:
        """Return the member of one of the library's enumerations that has the name, in any case.

        Raises:
            EngineError: if this version has none; says which it has.
        """
        members: dict[str, T] = getattr(enum, "__members__", {})
        if name.upper() not in members:
            known = ", ".join(members).lower()
            raise EngineError(f"{self.flavour} {self.version} has no '{name}'; it has: {known}")
        return members[name.upper()]


@functools.cache
def load_tensorrt(flavour: str) -> TensorRt:
    """Return the installed library of that flavour.

    Raises:
        OptionError: if there is no such flavour.
        BackendMissingError: if it is not installed, lacks its native libraries, or is too old.
    """
    if flavour not in EXTRAS:
        raise OptionError(f"TensorRT flavour: given '{flavour}'; expected {' or '.join(EXTRAS)}")
    try:
        module = importlib.import_module(flavour)
    except ModuleNotFoundError:
        raise BackendMissingError(
            f"this needs the '{flavour}' package. Run: pip install "
            f"'resnet-deploy[{EXTRAS[flavour]}]' (on a Jetson: apt install python3-libnvinfer, "
            "and a virtual environment made with --system-site-packages)"
        ) from None
    except (ImportError, OSError) as error:
        raise BackendMissingError(
            f"'{flavour}' is installed, but its libraries do not load: {error}"
        ) from None
    version = str(module.__version__)
    if flavour == "tensorrt" and _numbers(version) < OLDEST_TENSORRT:
        raise BackendMissingError(
            f"TensorRT {version} is too old; expected "
            f"{'.'.join(map(str, OLDEST_TENSORRT))} or newer"
        )
    errors: list[str] = []
    return TensorRt(flavour, version, module, _make_logger(module, errors), errors)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _make_logger(trt: ModuleType, errors: list[str]) -> tensorrt.ILogger:
    levels = {
        trt.ILogger.Severity.WARNING: logging.WARNING,
        trt.ILogger.Severity.INFO: logging.DEBUG,
        trt.ILogger.Severity.VERBOSE: logging.DEBUG,
    }

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        """Keeps errors for the exception they become; hands everything else to Python's logging."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: tensorrt.ILogger.Severity, message: str) -> None:
            line = _SOURCE_PLACE.sub("", " ".join(message.split()))
            if severity in levels:
                _log.log(levels[severity], "%s", line)
            else:  # ERROR and INTERNAL_ERROR
                errors.append(line)

    logger: tensorrt.ILogger = Logger()
    return logger
