"""Kinds of devices that a bundle can be packed for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.building.orders import EngineRequest
from runtime.errors import OptionError

__all__ = ["Edge", "device_request", "find_edge"]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A kind of device."""

    name: str
    flavour: str
    """The TensorRT it has; empty where it has none, or nobody knows."""
    newest_opset: int
    """That its software is sure to read."""
    majors: tuple[int, ...] = ()
    """Of the TensorRT releases it may have."""


EDGES = (
    # JetPack 6 has TensorRT 10.3, whose parser reads opset 20 at most; JetPack 7 has 10.13 or 11.
    Edge(name="jetson", flavour="tensorrt", newest_opset=19, majors=(10, 11)),
    Edge(name="rtx", flavour="tensorrt_rtx", newest_opset=23),
    Edge(name="generic", flavour="", newest_opset=23),
)


def find_edge(name: str, opset: int) -> Edge:
    """Return the kind of device of that name, for a graph of that opset.

    Raises:
        OptionError: if there is none, or it does not read the opset.
    """
    for edge in EDGES:
        if edge.name == name:
            if opset > edge.newest_opset:
                raise OptionError(
                    f"--edge {name}: given opset {opset}; its TensorRT reads up to "
                    f"{edge.newest_opset}. Leave --opset out"
                )
            return edge
    raise OptionError(
        f"--edge: given '{name}'; expected one of {', '.join(edge.name for edge in EDGES)}"
    )


def device_request(
    requests: Sequence[EngineRequest], edge: Edge, plain: EngineRequest
) -> EngineRequest:
    """Return how engines are to be built on a device: as here, if they are built here."""
    options = dataclasses.replace(plain.options, flavour=edge.flavour or "tensorrt")
    own = [request for request in requests if request.options.flavour == edge.flavour]
    return own[0] if own else dataclasses.replace(plain, options=options)
