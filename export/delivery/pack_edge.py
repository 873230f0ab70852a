"""Makes an edge bundle: what one kind of device needs, and nothing more, as a folder and a .tar.gz.

To a bundle it adds a wheel of this project, whose base install needs neither torch nor onnx; the
trtexec commands that build the same engines; timings of kernels, if there are any. It leaves out
what only whoever exports wants to see, and variants that the device's backend does not read.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from calibration.ranges_file import RANGES_FILE
from export.delivery.edge import Edge
from export.delivery.make_wheel import make_wheel
from runtime.building.orders import EngineOrder, EngineRequest, order_engines
from runtime.building.timing_cache import TIMINGS
from runtime.building.trtexec import trtexec_command
from runtime.bundle import Bundle
from runtime.locking import replace
from runtime.manifest import MANIFEST_FILE
from runtime.publishing.add_to_bundle import add_to_bundle
from runtime.variant import Variant

__all__ = ["pack_edge", "trtexec_commands"]

TRTEXEC_FILE = "trtexec.txt"


def pack_edge(
    bundle: Bundle, edge: Edge, request: EngineRequest, timings: Path | None
) -> tuple[Bundle, Path]:
    """Return the bundle made fit for a device, and the .tar.gz of it, which lies beside it.

    Args:
        bundle: just published; it is published anew.
        edge: the kind of device.
        request: how engines are to be built on it.
        timings: a folder with timings of kernels; all that it has go along.

    Raises:
        BundleError: if the bundle cannot be written.
        OptionError: if the device's TensorRT cannot build what is requested.
        OSError: if the archive cannot be written.
    """
    name, wheel = make_wheel()
    files = {name: wheel}
    parities = fnmatch.filter(bundle.manifest.files, "parity*.json")
    without = {RANGES_FILE, *parities}
    if edge.flavour:
        without |= {
            variant.file
            for key, variant in bundle.manifest.variants.items()
            if variant.convolutions is None and key != "fp32"
        }
    if edge.majors:
        variants = bundle.manifest.variants
        orders = order_engines(variants, bundle.manifest.image, request, bundle.manifest.pixels)
        commands = trtexec_commands(variants, orders, edge.majors)
        files[TRTEXEC_FILE] = "\n".join([*commands, ""]).encode()
    if timings is not None:
        files |= {path.name: path.read_bytes() for path in sorted(timings.glob(TIMINGS))}
    made = add_to_bundle(bundle.folder, files, {}, without)
    folder = made.folder.resolve()
    archive = folder.with_name(f"{folder.name}.tar.gz")
    replace(archive, _archive(made))
    return made, archive


def trtexec_commands(
    variants: Mapping[str, Variant], orders: Sequence[EngineOrder], majors: Sequence[int]
) -> list[str]:
    """Return trtexec's commands for engines, each behind a comment that says for which release."""
    lines = []
    for major in majors:
        for order in orders:
            variant = variants[order.engine.variant]
            command = trtexec_command(order, variant.file, variant.input.name, major)
            lines += [f"# {order.name}, TensorRT {major}", command]
    return lines


def _archive(bundle: Bundle) -> bytes:
    """Return the bundle as a .tar.gz: the same bundle gives the same bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in _paths(bundle):
            entry = tarfile.TarInfo(f"{bundle.folder.name}/{path}")
            data = (bundle.folder / path).read_bytes()
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _paths(bundle: Bundle) -> Sequence[str]:
    return sorted([*bundle.manifest.files, MANIFEST_FILE])
