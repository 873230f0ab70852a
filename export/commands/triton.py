"""`python -m export triton`: puts a bundle into a model repository of NVIDIA Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import NAMES, Folder, Json, Quiet
from runtime.command_line import split_words
from runtime.terminal import Screen

__all__ = ["triton"]

WORD_LISTS = {"--variant": NAMES}


def triton(
    bundle: Folder,
    repository: Annotated[Path, typer.Option(help="The folder Triton is started with.")],
    name: Annotated[
        str,
        typer.Option(help="Of the models; a variant's is NAME-VARIANT.  [default: the bundle's]"),
    ] = "",
    variant: Annotated[
        str,
        typer.Option(
            metavar="NAME...", help="Only these variants and engines.", show_default=False
        ),
    ] = "",
    version: Annotated[int, typer.Option(min=0, help="Its number; 0: the next one.")] = 0,
    batch: Annotated[int, typer.Option(help="Images at once, at most.")] = 8,
    instances: Annotated[int, typer.Option(help="Copies of the model on each device.")] = 1,
    queue: Annotated[int, typer.Option(help="Requests that wait, at most.")] = 64,
    queue_delay_us: Annotated[
        int, typer.Option(help="How long a batch is held back to fill it, in microseconds.")
    ] = 0,
    kserve: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an InferenceService for KServe, too.")
    ] = None,
    storage_uri: Annotated[
        str, typer.Option(help="Where the cluster finds the repository: pvc://CLAIM/PATH, s3://...")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a bundle into a Triton model repository, as a new version.

    What is there is never overwritten, and nobody sees half a model.
    """
    from export.triton.config import ServeOptions
    from export.triton.kserve import InferenceService
    from export.triton.repository import add_to_repository, servable, triton_name
    from export.triton.show import show_additions
    from runtime.bundle import Bundle
    from runtime.errors import OptionError
    from runtime.publishing.replace_file import check_replaceable

    if storage_uri and kserve is None:
        raise OptionError("--storage-uri is told to KServe; give its --kserve FILE, too")
    options = ServeOptions(
        batch=batch, instances=instances, queue=queue, queue_delay_us=queue_delay_us
    )
    loaded = Bundle.load(bundle)
    prefix = name or bundle.resolve().name
    chosen = {each: triton_name(prefix, each) for each in split_words(variant) or servable(loaded)}
    service = None
    if kserve is not None:
        on_gpu = any(each in loaded.manifest.engines for each in chosen)
        check_replaceable(kserve)
        service = InferenceService(
            name=triton_name(prefix, ""), storage_uri=storage_uri, on_gpu=on_gpu
        )
    additions = [
        add_to_repository(loaded, each, repository, model, options, version)
        for each, model in chosen.items()
    ]
    if kserve is not None and service is not None:
        service.write(kserve)
    show_additions(additions, kserve, Screen(json=json, quiet=quiet))
